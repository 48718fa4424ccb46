//! Idle runners, and leftover registrations of runners at GitHub.

use std::time::Duration;

use decisions::{Retire, RunnerSeen};
use fleet::{Retired, retire};

use crate::Deps;
use crate::snapshot::{SeenRunner, Snapshot};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub runners: usize,
    pub tasks: usize,
}

/// Retires every runner that the rules allow.
pub async fn retire_all(deps: &Deps, snapshot: &Snapshot) -> Result<Done, fleet::Error> {
    let mut done = Done::default();
    let mut failed = None;
    for seen in &snapshot.runners {
        if decisions::retire(facts(snapshot, seen), deps.config.idle) == Retire::Leave {
            continue;
        }
        let id = (seen.runner.id, &seen.name);
        let scope = &seen.scope;
        match retire(&deps.fleet, &seen.installation, scope, id, "it was idle").await {
            Ok(Retired::Stopped(tasks)) => {
                done.runners += 1;
                done.tasks += tasks;
            }
            Ok(Retired::Busy | Retired::Absent) => {}
            // A failure must not block the others.
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(done), Err)
}

fn facts(snapshot: &Snapshot, seen: &SeenRunner) -> RunnerSeen {
    let task = snapshot.task_of(&seen.name);
    let written = snapshot
        .registrations
        .iter()
        .find(|(path, _)| *path.runner() == seen.name)
        .map(|(_, at)| *at);
    let age = match (task, written) {
        (Some(task), _) => task
            .started_at
            .map_or(Duration::ZERO, |at| snapshot.since(at)),
        (None, Some(at)) => snapshot.since(at),
        // Its execution, if it is running, is between registration and task.
        (None, None) if snapshot.runs(seen.name.execution()) => Duration::ZERO,
        (None, None) => Duration::MAX,
    };
    RunnerSeen {
        busy: seen.runner.busy,
        online: seen.runner.online,
        has_task: task.is_some(),
        age,
        cancelled: false,
    }
}
