//! What a job asks of the stock, and why it goes on without.

use std::time::Duration;

use decisions::{Attempt, ClaimSeen, may_claim};
use pool::{Pool, Ticket};
use protocol::{Job, PlannedRunner, Warm};
use serde_json::Value;

use crate::input::Input;

/// The longest time that a job spends on a warm task before it goes on with a task of its own.
pub const LIMIT: Duration = Duration::from_secs(3);

/// Clients for the stock of warm tasks.
#[derive(Clone, Debug)]
pub struct Stock {
    pub pool: Pool,
    pub ecs: aws_sdk_ecs::Client,
    /// The function that keeps the stock.
    pub keeper: Option<Keeper>,
}

/// A function and the client that calls it.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub lambda: aws_sdk_lambda::Client,
    pub function: String,
}

/// What a job asks of the stock.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub job: &'a Job,
    pub runner: &'a PlannedRunner,
    pub family: &'a str,
    pub warm: Warm,
    /// The oldest revision that serves it.
    pub revision: u64,
    /// Whether its first task would run on Spot.
    pub spot: bool,
    /// Whether its task has another size or role than the definition's.
    pub differs: bool,
    /// Number of the attempt.
    pub attempt: u32,
    /// The cluster of its tasks.
    pub cluster: &'a str,
}

/// Why a job goes on with a task of its own.
#[derive(Debug, thiserror::Error)]
pub enum Cold {
    #[error("no warm task is ready")]
    NoneReady,
    #[error("its repository has taken its share of this minute")]
    ShareUsed,
    #[error("the table is slow")]
    Slow,
    #[error(transparent)]
    Table(#[from] pool::Error),
    #[error("the warm task could not be tagged: {0}")]
    NotTagged(Box<aws::Error>),
    #[error("the warm task could not be rung: {0}")]
    NotRung(pool::Error),
    #[error("the warm task was told to leave")]
    Leaving,
    #[error("the warm task did not answer")]
    NoAnswer,
}

impl<'a> Request<'a> {
    /// Reads it from the state machine's input; `None` if the family has no pool, or if this attempt
    /// claims no warm task.
    pub fn of(input: &'a Input) -> Option<Self> {
        let definition = &input.matched.as_ref()?.definition;
        let first = Attempt::first();
        let request = Self {
            job: &input.order.job,
            runner: &input.runner,
            family: &definition.family,
            warm: definition.warm?,
            revision: definition.revision?,
            spot: spot(&input.run_task),
            differs: differs(&input.run_task),
            attempt: input.attempt.as_ref().unwrap_or(&first).number,
            cluster: input.run_task["Cluster"].as_str()?,
        };
        if request.differs {
            tracing::info!(
                family = request.family,
                "the job starts cold: its task has another size or role than warm tasks have"
            );
        }
        may_claim(&request.seen(None)).then_some(request)
    }

    pub fn seen(&self, ticket: Option<&Ticket>) -> ClaimSeen {
        ClaimSeen {
            attempt: self.attempt,
            revision: self.revision,
            spot: self.spot,
            differs: self.differs,
            ticket: ticket.map(|ticket| decisions::Ticket {
                state: ticket.state,
                revision: ticket.revision,
                spot: ticket.spot,
            }),
        }
    }
}

/// Whether a RunTask request is for Spot.
fn spot(run_task: &Value) -> bool {
    run_task["CapacityProviderStrategy"][0]["CapacityProvider"] == "FARGATE_SPOT"
}

/// What a RunTask request overrides of a task definition beside its containers.
const OVERRIDES: [&str; 4] = ["Cpu", "Memory", "EphemeralStorage", "TaskRoleArn"];

/// Whether a RunTask request is for a task unlike those that the definition describes.
fn differs(run_task: &Value) -> bool {
    let overrides = &run_task["Overrides"];
    OVERRIDES.iter().any(|name| !overrides[*name].is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn input(changes: impl Fn(&mut Value)) -> Input {
        let mut input = json!({
            "order": {
                "job": {
                    "id": 4242, "runId": 1, "runAttempt": 1, "name": "build",
                    "repository": "octo/hello", "ownerType": "Organization", "private": true,
                    "labels": ["linux"], "installationId": null, "queuedAt": "2026-01-01T00:00:00Z"
                }
            },
            "runner": {
                "name": "fr-hello-4242", "labels": ["linux"],
                "parameter": "/fargate-runners/runners/fr-hello-4242/0123456789abcdef0123456789abcdef"
            },
            "match": {
                "family": "f", "offered": ["linux"], "cpu": null, "memory": null,
                "architecture": null, "warm": { "slots": 2 }, "revision": 7
            },
            "runTask": {
                "Cluster": "runners",
                "CapacityProviderStrategy": [{ "CapacityProvider": "FARGATE_SPOT", "Weight": 1 }]
            },
            "execution": "hello-4242"
        });
        changes(&mut input);
        serde_json::from_value(input).unwrap()
    }

    #[test]
    fn a_first_attempt_of_a_family_with_a_pool_asks_the_stock() {
        let input = input(|_| {});
        let request = Request::of(&input).unwrap();
        assert_eq!((request.revision, request.spot), (7, true));
        assert_eq!((request.cluster, request.warm.slots), ("runners", 2));
    }

    #[test]
    fn any_other_attempt_does_not() {
        let without = |name: &'static str| {
            input(move |input| {
                input["match"].as_object_mut().unwrap().remove(name);
            })
        };
        let cases = [
            ("no pool", without("warm")),
            ("no revision", without("revision")),
            (
                "no pool in the state machine",
                input(|input| input["match"] = json!(null)),
            ),
            ("no request", input(|input| input["runTask"] = json!(null))),
            (
                "another size",
                input(|input| input["runTask"]["Overrides"] = json!({ "Cpu": "4096" })),
            ),
            (
                "another disk",
                input(|input| {
                    input["runTask"]["Overrides"] =
                        json!({ "EphemeralStorage": { "SizeInGiB": 50 } });
                }),
            ),
            (
                "another role",
                input(|input| input["runTask"]["Overrides"] = json!({ "TaskRoleArn": "arn:role" })),
            ),
            (
                "a second attempt",
                input(|input| {
                    input["attempt"] = json!({
                        "number": 2, "faults": 0, "refusals": 0, "unpicked": 0,
                        "capacityStep": 0, "subnetStep": 0
                    });
                }),
            ),
        ];
        for (name, input) in cases {
            assert!(Request::of(&input).is_none(), "{name}");
        }
    }

    #[test]
    fn only_the_provider_of_this_attempt_says_whether_it_is_on_spot() {
        let strategy = |providers: &[&str]| {
            let providers = providers
                .iter()
                .map(|name| json!({ "CapacityProvider": name }));
            json!({ "CapacityProviderStrategy": providers.collect::<Vec<_>>() })
        };
        assert!(spot(&strategy(&["FARGATE_SPOT"])));
        for request in [
            strategy(&["FARGATE"]),
            strategy(&[]),
            json!({}),
            json!(null),
        ] {
            assert!(!spot(&request), "{request}");
        }
    }
}
