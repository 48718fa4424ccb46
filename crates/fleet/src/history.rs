//! Where an execution stands, read from its history.

use job::{ExecutionName, RunnerName};
use outcome::Overrides;
use registration::ParameterPath;
use serde::Deserialize;

use crate::{Error, Fleet};

/// Enough for any attempt: one writes a dozen events, a hundred with every retry it has.
const PAGES: usize = 5;

/// The newest state of an execution and the newest runner it planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The state it entered last.
    pub state: Option<String>,
    /// The runner it planned last.
    pub runner: Option<RunnerName>,
    /// Where that runner's registration was to be put.
    pub parameter: Option<ParameterPath>,
}

/// The input of `Token` and of `Runner`.
#[derive(Deserialize)]
struct Planned {
    #[serde(rename = "runTask")]
    run_task: RunTask,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunTask {
    started_by: RunnerName,
    overrides: Overrides,
}

impl Fleet {
    /// Reads the newest events until both the state and a planned runner are found.
    pub async fn position(&self, name: &ExecutionName) -> Result<Position, Error> {
        let mut position = Position::default();
        let mut token = None;
        for _ in 0..PAGES {
            let (events, next) = self.history_page(name, token).await?;
            for entered in events
                .iter()
                .filter_map(|event| event.state_entered_event_details())
            {
                position
                    .state
                    .get_or_insert_with(|| entered.name().to_owned());
                if let Ok(planned) =
                    serde_json::from_str::<Planned>(entered.input().unwrap_or_default())
                {
                    let path = planned.run_task.overrides.agent_variable("AGENT_PARAMETER");
                    position.parameter = path.and_then(|path| path.parse().ok());
                    position.runner = Some(planned.run_task.started_by);
                    return Ok(position);
                }
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        Ok(position)
    }
}
