//! Collects the facts at the end of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use github_standin::{DeliveryFault, Fault, Job};
use local_stack::Execution;
use protocol::{RunnerName, State};
use reqwest::Method;
use serde_json::Value;

use super::asks::{Done, Hit, Whom};
use super::{Player, described, executions_of};
use crate::account::{Facts, JobFacts, Stop};
use crate::injected::{Failed, attempt_ends};
use crate::orders::{Order, order};
use crate::schedule::ChaosFault;

impl Player<'_> {
    /// Counts the faults ordered of each kind and how often they took effect, and collects the calls that
    /// they met. Withdraws them.
    pub(super) async fn faults(
        &self,
    ) -> anyhow::Result<(BTreeMap<ChaosFault, (u32, u32)>, Vec<Hit>)> {
        let mut counts: BTreeMap<ChaosFault, (u32, u32)> = BTreeMap::new();
        for fault in &self.schedule.faults {
            let count = counts.entry(fault.kind).or_default();
            count.0 += 1;
            // GitHub's remaining ones are subtracted below.
            count.1 += match order(fault) {
                Order::GitHub(order) => order.times,
                Order::Webhook(order) => order.times,
                Order::Engine(_) | Order::Deed(_) | Order::Spell(..) => 0,
            };
        }
        let ordered = self
            .site
            .control(Method::GET, "/faults", &Value::Null)
            .await?;
        let ordered = ordered["faults"].as_array().cloned().unwrap_or_default();
        let mut met = self.hits_at_github();
        for (kind, fault) in self.ordered.iter().zip(ordered) {
            met.extend(Hit::of_engine(*kind, &fault));
            let hits = fault["hits"]
                .as_u64()
                .and_then(|hits| u32::try_from(hits).ok());
            counts.entry(*kind).or_default().1 += hits.unwrap_or(0);
        }
        for (kind, done) in &self.done {
            counts.entry(*kind).or_default().1 += done;
        }
        let (left, unsent) = self.site.github().faults();
        // All orders of a kind share the remaining number.
        for (kind, count) in &mut counts {
            let faults = self.schedule.faults.iter();
            let orders: Vec<_> = faults.filter(|one| one.kind == *kind).map(order).collect();
            let is_ours = |left: &Fault| {
                orders.iter().any(|order| match order {
                    Order::GitHub(order) => {
                        (&order.kind, order.after, &order.method, &order.path)
                            == (&left.kind, left.after, &left.method, &left.path)
                    }
                    _ => false,
                })
            };
            let is_ours_too = |left: &DeliveryFault| {
                orders.iter().any(|order| match order {
                    Order::Webhook(order) => {
                        (&order.kind, &order.action) == (&left.kind, &left.action)
                    }
                    _ => false,
                })
            };
            let calls = left.iter().filter(|left| is_ours(left));
            let webhooks = unsent.iter().filter(|left| is_ours_too(left));
            let left: u32 = calls
                .map(|left| left.times)
                .chain(webhooks.map(|left| left.times))
                .sum();
            count.1 = count.1.saturating_sub(left);
        }
        self.site
            .control(Method::DELETE, "/faults", &Value::Null)
            .await?;
        self.site.github().clear_faults();
        Ok((counts, met))
    }

    /// What is wrong with the second chances, one line each.
    fn second_chances(&self, jobs: &[Job], runners: &BTreeMap<String, String>) -> Vec<String> {
        let by_spot = |deed: &&Done| attempt_ends(deed.kind) == Some(Failed::TakenBack);
        let taken: BTreeSet<&str> = self
            .deeds
            .iter()
            .filter(by_spot)
            .filter_map(|deed| match &deed.whom {
                Whom::Runner(runner) => Some(runner.as_str()),
                // A runner may have come to it before it ended.
                Whom::Task(arn) => runners.get(arn).map(String::as_str),
                Whom::Execution(_) => None,
            })
            .collect();
        let (mut lost, mut again, mut green) = (0, 0, 0);
        let mut wrong = Vec::new();
        for queued in &self.queued {
            let first = jobs.iter().find(|job| job.id == queued.id);
            let attempts = first.map_or_else(Vec::new, |first| attempts(jobs, first));
            for (job, next) in attempts.iter().zip(1..) {
                let next: Option<&&Job> = attempts.get(next);
                let runner = job.runner.as_deref().unwrap_or_default();
                let failed = matches!(job.conclusion.as_deref(), Some("failure" | "cancelled"));
                let was_lost = failed && taken.contains(runner);
                let name: Option<RunnerName> = runner.parse().ok();
                let execution = name.map(|name| name.execution().to_string());
                let excused = queued.cancelled
                    || job.run_attempt > 2
                    || execution.is_some_and(|name| self.closed.contains(&name));
                lost += usize::from(was_lost);
                again += usize::from(next.is_some());
                green += usize::from(job.run_attempt > 1 && !failed);
                if next.is_some() && !was_lost {
                    wrong.push(format!("{} was run again and not lost", queued.name));
                }
                if next.is_none() && was_lost && !excused {
                    wrong.push(format!(
                        "{} ({}) was lost and not run again: {}",
                        queued.name,
                        job.id,
                        described(job)
                    ));
                }
            }
            if attempts.len() > 3 {
                wrong.push(format!("{} was run again more than twice", queued.name));
            }
        }
        println!("  {lost} jobs lost to Spot, {again} re-runs, {green} of them green");
        wrong
    }

    /// The facts at the end.
    pub(super) async fn facts(self) -> anyhow::Result<Facts> {
        let wrong = self.stock().await?;
        let github = self.site.github();
        let snapshot = github.snapshot();
        let mut jobs = Vec::new();
        for queued in &self.queued {
            let job = snapshot.job(queued.id).context("a job is gone")?.clone();
            jobs.push(JobFacts {
                name: queued.name.clone(),
                execution: self.site.observer.execution_name(&job)?.to_string(),
                runs: runs(&queued.runs),
                attempts: attempts(&snapshot.jobs, &job).len(),
                cancelled: queued.cancelled,
                abandoned: self.abandoned.contains(&queued.id),
                job,
            });
        }
        let calls = self.site.calls("").await?;
        let of = |operation: &str| {
            let operation = operation.to_owned();
            calls
                .iter()
                .filter(move |call| call["operation"] == *operation)
        };
        let started_by = |kind: &str| {
            let calls = of("RunTask").filter(|call| call["status"] == 200);
            calls.filter(|call| call["caller"]["kind"] == kind).count()
        };
        let (started, stocked) = (started_by("state-machine"), started_by("function"));
        let mut adopted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut ran = Vec::new();
        for job in &jobs {
            for name in executions_of(&job.execution) {
                let Some(execution) = self.site.observer.execution(&name).await? else {
                    break;
                };
                ran.extend(with_runner(&execution));
                if let Some(task) = execution.adopted() {
                    adopted.entry(task).or_default().push(name);
                }
            }
        }
        let stops: Vec<_> = of("StopTask")
            .filter(|call| call["caller"]["kind"] == "function" && call["status"] == 200)
            .collect();
        let tasks = self.site.tasks().await?;
        let runners: BTreeMap<_, _> = tasks
            .into_iter()
            .filter_map(|task| Some((task.arn, task.runner?)))
            .collect();
        let mut chances = Vec::new();
        if self.site.setup.reruns {
            chances = self.second_chances(&snapshot.jobs, &runners);
        }
        let mut ended_runners = self.ended;
        let ended = self.ended_waiting.iter();
        ended_runners.extend(ended.filter_map(|arn| runners.get(arn).cloned()));
        let mut left = self.site.observer.leftovers().await?;
        left.extend(wrong);
        left.extend(self.site.slots().await?);
        left.extend(self.site.notes().await?);
        left.extend(chances);
        let (most, cap) = (most_at_once(&ran), self.site.setup.cap);
        if cap > 0 {
            println!("  at most {most} runners at once, of {cap}");
        }
        if cap > 0 && most > cap {
            left.push(format!("{most} runners ran at once, the cap is {cap}"));
        }
        Ok(Facts {
            jobs,
            ended_runners,
            closed_executions: self.closed,
            left,
            deleted: github
                .requests()
                .iter()
                .filter(|call| call.method == "DELETE" && call.status == 204)
                .filter_map(|call| call.path.rsplit_once("/actions/runners/")?.1.parse().ok())
                .collect(),
            stops: stops
                .iter()
                .filter_map(|call| {
                    Some(Stop {
                        runner: runners.get(call["resource"].as_str()?)?.clone(),
                        at: call["at"].as_str()?.to_owned(),
                    })
                })
                .collect(),
            denied: calls.iter().filter_map(denied).collect(),
            started,
            stocked,
            adopted,
            settled: self.settled,
        })
    }
}

/// When an execution had a runner.
fn with_runner(execution: &Execution) -> impl Iterator<Item = (f64, f64)> {
    let visits = execution.visits.iter();
    let runners = visits.filter(|visit| {
        let state: Result<State, _> = visit.state.parse();
        matches!(state, Ok(State::Runner | State::WarmRunner))
    });
    runners.map(|visit| {
        let left = visit.left.or(execution.ended);
        (visit.entered, left.unwrap_or(f64::MAX))
    })
}

/// The most of them at once.
fn most_at_once(ran: &[(f64, f64)]) -> usize {
    let at = |time: f64| {
        let then = ran.iter();
        then.filter(|(from, to)| *from <= time && time < *to)
            .count()
    };
    ran.iter().map(|(from, _)| at(*from)).max().unwrap_or(0)
}

/// How often a job has run.
fn runs(path: &PathBuf) -> usize {
    // A job that never ran has no file.
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// A call for which a caller of this deployment lacks a permission.
fn denied(call: &Value) -> Option<String> {
    let lacks = call["denied"].as_str().filter(|lacks| !lacks.is_empty())?;
    let caller = call["caller"]["name"].as_str()?;
    Some(format!("{caller} lacks {lacks}"))
}

/// The attempts of a job, the first one first: each job has a run of its own.
fn attempts<'a>(jobs: &'a [Job], first: &Job) -> Vec<&'a Job> {
    let of_run = jobs.iter().filter(|job| job.run_id == first.run_id);
    let mut attempts: Vec<_> = of_run.collect();
    attempts.sort_by_key(|job| job.run_attempt);
    attempts
}
