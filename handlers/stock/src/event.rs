//! The events that call the keeper.

use decisions::{Ended, EndedTask, TaskSeen};
use pool::TicketKey;
use protocol::{BellKey, Demand};
use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// The `detail-type` of ECS's events about tasks ([shape]).
///
/// [shape]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
const TASK_CHANGED: &str = "ECS Task State Change";

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A job took a warm task, or found none.
    Demanded(Demand),
    /// A task of the stock runs, or ends.
    Task(TaskEvent),
    /// A minute is over.
    Tick,
}

/// What an event says about a task of the stock.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEvent {
    pub arn: String,
    pub ticket: TicketKey,
    pub id: BellKey,
    pub seen: TaskSeen,
    /// Why it ends, for the log.
    pub detail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    #[serde(flatten)]
    task: EndedTask,
    #[serde(default)]
    last_status: String,
    #[serde(default)]
    desired_status: String,
}

impl Event {
    /// `None` for a task of the group that is no warm one, such as one that an operator started.
    pub fn parse(event: Value) -> Result<Option<Self>, Error> {
        if event["detail-type"] == TASK_CHANGED {
            let changed: Changed = serde_json::from_value(event["detail"].clone())?;
            return Ok(changed.read().map(Self::Task));
        }
        // EventBridge's schedule, or a person who invokes the function.
        let empty = event.as_object().is_some_and(serde_json::Map::is_empty);
        if empty || event["source"] == "aws.events" {
            return Ok(Some(Self::Tick));
        }
        if event.get("family").is_none() {
            return Err(Error::ForeignEvent);
        }
        Ok(Some(Self::Demanded(serde_json::from_value(event)?)))
    }
}

impl Changed {
    fn read(self) -> Option<TaskEvent> {
        let told = |name| self.task.overrides.agent_variable(name);
        Some(TaskEvent {
            ticket: told(protocol::bell::AGENT_TICKET)?.parse().ok()?,
            id: told(protocol::bell::AGENT_BELL)?.parse().ok()?,
            arn: self.task.task_arn.clone()?,
            seen: seen(&self.last_status, &self.desired_status),
            detail: Ended::from_task(&self.task).detail,
        })
    }
}

/// What ECS's two words for a task's status mean. A task that is to stop counts as ended: Spot
/// announces an interruption two minutes ahead, and nobody should claim the task meanwhile.
pub(crate) fn seen(last: &str, desired: &str) -> TaskSeen {
    match (last, desired) {
        (_, "STOPPED") | ("STOPPED" | "STOPPING" | "DEPROVISIONING" | "DEACTIVATING", _) => {
            TaskSeen::Ended
        }
        ("RUNNING", _) => TaskSeen::Running,
        _ => TaskSeen::Starting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Start;
    use serde_json::json;

    /// A warm task's event, in the shape of the one in the developer guide.
    fn changed(last: &str, desired: &str) -> Value {
        json!({
            "version": "0", "source": "aws.ecs", "detail-type": "ECS Task State Change",
            "detail": {
                "taskArn": "arn:aws:ecs:us-east-1:0:task/runners/1", "group": "fargate-runners:fr:warm",
                "lastStatus": last, "desiredStatus": desired, "stopCode": "SpotInterruption",
                "stoppedReason": "Your Spot Task was interrupted.", "containers": [{ "name": "runner" }],
                "overrides": { "containerOverrides": [{ "name": "runner", "environment": [
                    { "name": "AGENT_BELL", "value": "0123456789abcdef0123456789abcdef" },
                    { "name": "AGENT_TICKET", "value": "ubuntu/07" },
                ] }] },
            },
        })
    }

    #[test]
    fn a_tasks_event_says_which_ticket_is_meant_and_whether_its_task_lives() {
        for (last, desired, expected) in [
            ("PENDING", "RUNNING", TaskSeen::Starting),
            ("RUNNING", "RUNNING", TaskSeen::Running),
            ("RUNNING", "STOPPED", TaskSeen::Ended),
            ("STOPPED", "STOPPED", TaskSeen::Ended),
        ] {
            let Some(Event::Task(task)) = Event::parse(changed(last, desired)).unwrap() else {
                panic!("{last} is no task's event");
            };
            assert_eq!(task.seen, expected, "{last}, {desired}");
            assert_eq!(task.ticket.to_string(), "ubuntu/07");
            assert!(task.detail.contains("Your Spot Task was interrupted."));
        }
    }

    #[test]
    fn a_task_without_a_ticket_is_none_of_the_stock() {
        let mut event = changed("RUNNING", "RUNNING");
        event["detail"]["overrides"]["containerOverrides"][0]["environment"] = json!([]);
        assert_eq!(Event::parse(event).unwrap(), None);
    }

    #[test]
    fn the_other_events_are_told_apart() {
        let schedule =
            json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
        assert_eq!(Event::parse(schedule).unwrap(), Some(Event::Tick));
        assert_eq!(Event::parse(json!({})).unwrap(), Some(Event::Tick));
        let demanded = json!({ "family": "f", "repository": "octo/hello", "start": "cold" });
        assert_eq!(
            Event::parse(demanded).unwrap(),
            Some(Event::Demanded(Demand {
                family: "f".to_owned(),
                repository: "octo/hello".parse().unwrap(),
                start: Start::Cold,
            }))
        );
        for (event, words) in [
            (json!({ "order": {} }), "neither `token`'s"),
            (json!([]), "neither `token`'s"),
            (json!({ "family": "f" }), "repository"),
            (
                json!({ "family": "f", "repository": "octo", "start": "warm" }),
                "octo",
            ),
        ] {
            let error = Event::parse(event).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
