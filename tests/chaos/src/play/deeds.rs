//! Actions on tasks, executions and runners, and temporary conditions.

use std::time::Duration;

use github_standin::{JobStatus, Snapshot};
use reqwest::Method;
use serde_json::json;
use time::OffsetDateTime;

use super::asks::{Done, Whom};
use super::{Pending, Player, SPOT_GRACE};
use crate::orders::{Deed, Spell, Turn};
use crate::site::{PREFIX, RUNNERS, Task};

impl Player<'_> {
    pub(super) async fn do_pending(&mut self, now: Duration) -> anyhow::Result<()> {
        let mut waiting = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            if self.try_deed(pending).await? {
                *self.done.entry(pending.kind).or_default() += 1;
            } else if now < pending.until {
                waiting.push(pending);
            }
        }
        self.pending = waiting;
        Ok(())
    }

    pub(super) async fn begin_spell(
        &mut self,
        spell: Spell,
        until: Duration,
    ) -> anyhow::Result<()> {
        self.turn(spell, true).await?;
        let ends = self.spells.entry(spell).or_default();
        *ends = until.max(*ends);
        Ok(())
    }

    pub(super) async fn end_spells(&mut self, now: Duration) -> anyhow::Result<()> {
        let ends = self.spells.iter().filter(|(_, ends)| **ends <= now);
        let over: Vec<Spell> = ends.map(|(spell, _)| *spell).collect();
        for spell in over {
            self.turn(spell, false).await?;
            self.spells.remove(&spell);
        }
        Ok(())
    }

    async fn turn(&self, spell: Spell, on: bool) -> anyhow::Result<()> {
        match spell.turn(on) {
            Turn::GitHub(turn) => self
                .site
                .github()
                .change_settings(|settings| turn(settings, on)),
            Turn::Engine(switch) => {
                let path = "/switches";
                self.site.control(Method::POST, path, &switch).await?;
            }
        }
        Ok(())
    }

    /// Carries out an action if there is something to act on. Returns whether it did.
    async fn try_deed(&mut self, pending: Pending) -> anyhow::Result<bool> {
        let snapshot = self.site.github().snapshot();
        match pending.deed {
            Deed::KillIdle | Deed::KillBusy | Deed::Interrupt | Deed::InterruptBusy => {
                self.end_task(pending, &snapshot).await
            }
            Deed::Abort | Deed::TimeOut => self.close_execution(pending).await,
            Deed::KillWaiting | Deed::InterruptWaiting | Deed::Hang(_) => {
                self.disturb_waiting(pending).await
            }
            Deed::Upgrade => self.upgrade(pending.whom).await,
            Deed::Ghost => {
                let idle = snapshot
                    .runners
                    .iter()
                    .filter(|runner| runner.online && !runner.busy);
                let idle: Vec<_> = idle.map(|runner| (runner.id, &runner.name)).collect();
                let Some((id, name)) = chosen(&idle, pending.whom) else {
                    return Ok(false);
                };
                let done = self.site.github().ghost_runner(*id).is_ok();
                if done {
                    self.did(pending, Whom::Runner((*name).clone()));
                }
                Ok(done)
            }
        }
    }

    async fn end_task(&mut self, pending: Pending, snapshot: &Snapshot) -> anyhow::Result<bool> {
        let busy = |task: &Task| {
            let runner = snapshot
                .runners
                .iter()
                .find(|one| Some(&one.name) == task.runner.as_ref())?;
            let job = runner.job.and_then(|job| snapshot.job(job));
            Some(job.is_some_and(|job| job.status == JobStatus::InProgress))
        };
        let suits = |task: &Task| match pending.deed {
            Deed::KillBusy | Deed::InterruptBusy => busy(task) == Some(true),
            Deed::KillIdle => busy(task) == Some(false),
            _ => true,
        };
        let mut tasks = self.site.tasks().await?;
        tasks.retain(|task| task.runs && task.runner.is_some() && suits(task));
        let Some(task) = chosen(&tasks, pending.whom) else {
            return Ok(false);
        };
        let (how, body) = match pending.deed {
            Deed::Interrupt | Deed::InterruptBusy => {
                ("spot-interruption", json!({ "grace": SPOT_GRACE }))
            }
            _ => ("kill", json!({})),
        };
        let path = format!("/tasks/{}/{how}", task.id);
        // It may have ended meanwhile.
        let done = self.site.control(Method::POST, &path, &body).await.is_ok();
        if done {
            self.ended.extend(task.runner.clone());
            if let Some(runner) = task.runner.clone() {
                self.did(pending, Whom::Runner(runner));
            }
        }
        Ok(done)
    }

    /// Writes down what was done to whom.
    fn did(&mut self, pending: Pending, whom: Whom) {
        self.deeds.push(Done {
            kind: pending.kind,
            at: OffsetDateTime::now_utc(),
            whom,
        });
    }

    /// Ends or stops a task in stock.
    async fn disturb_waiting(&mut self, pending: Pending) -> anyhow::Result<bool> {
        let mut tasks = self.site.tasks().await?;
        tasks.retain(|task| task.runs && task.warm && task.runner.is_none());
        tasks.retain(|task| !self.hanging.contains_key(&task.id));
        let Some(task) = chosen(&tasks, pending.whom) else {
            return Ok(false);
        };
        let (how, body) = match pending.deed {
            Deed::InterruptWaiting => ("spot-interruption", json!({ "grace": SPOT_GRACE })),
            Deed::Hang(_) => ("pause", json!({})),
            _ => ("kill", json!({})),
        };
        let path = format!("/tasks/{}/{how}", task.id);
        // It may have ended meanwhile.
        let done = self.site.control(Method::POST, &path, &body).await.is_ok();
        match pending.deed {
            Deed::Hang(length) if done => {
                let until = self.begun.elapsed() + length;
                self.hanging.insert(task.id.clone(), until);
            }
            _ if done => {
                self.ended_waiting.insert(task.arn.clone());
                self.did(pending, Whom::Task(task.arn.clone()));
            }
            _ => {}
        }
        Ok(done)
    }

    /// Lets the tasks whose time is over go on.
    pub(super) async fn let_go_on(&mut self, now: Duration) {
        let over = self.hanging.iter().filter(|(_, until)| **until <= now);
        let over: Vec<String> = over.map(|(id, _)| id.clone()).collect();
        for id in over {
            let path = format!("/tasks/{id}/resume");
            // It may have ended meanwhile.
            let _ = self.site.control(Method::POST, &path, &json!({})).await;
            self.hanging.remove(&id);
        }
    }

    /// Registers a runner's task definition once more, as a deployment with a new image does.
    async fn upgrade(&self, whom: usize) -> anyhow::Result<bool> {
        let family = format!("{PREFIX}-{}", RUNNERS[whom % RUNNERS.len()]);
        self.site.observer.register_again(&family).await?;
        Ok(true)
    }

    async fn close_execution(&mut self, pending: Pending) -> anyhow::Result<bool> {
        let names = self.running().await?;
        let Some(name) = chosen(&names, pending.whom) else {
            return Ok(false);
        };
        let done = if pending.deed == Deed::Abort {
            let arn = self.site.observer.execution_arn(name);
            let input =
                json!({ "executionArn": arn, "error": "Chaos", "cause": "somebody said so" });
            self.site
                .observer
                .aws
                .states("StopExecution", input)
                .await
                .is_ok()
        } else {
            let path = format!("/executions/{name}/time-out");
            let answer = self.site.control(Method::POST, &path, &json!({})).await?;
            answer["timedOut"] != 0
        };
        if done {
            self.did(pending, Whom::Execution(name.clone()));
            self.closed.insert(name.clone());
            if pending.deed == Deed::Abort {
                self.aborted.insert(name.clone());
            }
        }
        Ok(done)
    }
}

fn chosen<T>(from: &[T], whom: usize) -> Option<&T> {
    from.get(whom.checked_rem(from.len())?)
}
