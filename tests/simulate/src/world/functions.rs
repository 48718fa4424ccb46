//! The state machine and its functions.

use std::time::Duration;

use decisions::{
    Attempt, Ended, EndedContainer, EndedTask, Failure, JobStatus, NoteSeen, OnNote, Restart,
    Situation, StepError, Verdict, counts_as_failure, judge, on_note, restart,
};
use protocol::State;

use super::github::{Call, Refusal};
use super::{BUDGET, Ending, Event, JobId, SWEEP, Status, World, index};
use crate::limit::{DAY, SECOND, Time};
use crate::load::micros;
use crate::machine::Tries;
use crate::quotas::Limit;

/// EventBridge reports a failed execution about so soon.
const EVENT: Time = 5 * SECOND;
/// Calls that an SDK's client of `token` makes at most, of which the first is the caller's.
const CALLS: u32 = 6;

impl World<'_> {
    /// An execution goes on to another state, after a while.
    pub(super) fn go_on(&mut self, job: JobId, state: State, delay: Time) {
        let taken = self.setup.timings.transition.draw(&mut self.rng);
        let it = self.job(job);
        it.state = state;
        it.tries = Tries::default();
        self.after(delay + taken, Event::Enter(job));
    }

    /// An execution enters its state, for the first time or by a retry.
    pub(super) fn enter(&mut self, job: JobId) {
        if !self.buckets.transitions.take(self.now, 1) {
            self.refused(Limit::StateTransitions);
            let wait = self.buckets.transitions.wait(self.now);
            self.buckets.transitions.owe(1);
            self.figures.lost(Limit::StateTransitions, wait);
            return self.after(wait, Event::Granted(job));
        }
        self.entered(job);
    }

    /// Step Functions lets it enter.
    pub(super) fn entered(&mut self, job: JobId) {
        self.figures.transitions += 1;
        match self.job(job).state {
            State::Match | State::Launch | State::Token | State::Cleanup => self.invoke(job),
            State::Start => {
                let warm = self.job(job).task.is_some();
                let next = if warm {
                    State::WarmRunner
                } else {
                    State::Runner
                };
                self.go_on(job, next, 0);
            }
            State::Runner => self.run_task(job),
            State::WarmRunner => self.wait_for_warm(job),
            State::Wait => {
                let pause = self.job(job).pause;
                self.go_on(job, State::Launch, pause);
            }
            // No deployment here has caps.
            State::WaitForSlot => {
                let pause = self.job(job).pause;
                self.go_on(job, State::Token, pause);
            }
            State::WaitForGitHub => {
                let pause = self.job(job).pause;
                self.go_on(job, State::Cleanup, pause);
            }
            State::Unmatched | State::Failed => self.fails(job),
        }
    }

    /// An execution fails. GitHub cancels a job that nobody serves at the end of its day.
    fn fails(&mut self, job: JobId) {
        let it = self.job(job);
        let failure = Some(it.failure);
        it.failures += u32::from(counts_as_failure(decisions::Status::Failed, failure));
        let follows = restart(decisions::Status::Failed, failure, it.failures);
        if follows != Restart::Leave {
            return self.after(EVENT, Event::Restart(job));
        }
        self.figures.open -= 1;
        if self.job_is_queued(job) {
            self.job(job).status = Status::Completed;
            self.figures.given_up += 1;
            self.figures.waited(DAY);
        }
    }

    /// Another execution follows if GitHub says that the job is queued; `sweep` asks again if it does not
    /// answer.
    pub(super) fn restart(&mut self, job: JobId) {
        if self.ask(job, Call::Job).is_err() {
            return self.after(SWEEP, Event::Restart(job));
        }
        if !self.job_is_queued(job) {
            self.figures.open -= 1;
            return;
        }
        let it = self.job(job);
        it.attempt = Attempt::first();
        it.doubted = true;
        self.go_on(job, State::Match, 0);
    }

    /// Invokes the state's function.
    fn invoke(&mut self, job: JobId) {
        if self.functions >= self.setup.quotas.lambda {
            self.refused(Limit::LambdaConcurrency);
            self.job(job).refused = Some(Limit::LambdaConcurrency);
            return self.throw(
                job,
                "Lambda.TooManyRequestsException",
                Ending::FunctionThrottled,
            );
        }
        self.functions += 1;
        let timings = &self.setup.timings;
        let took = match self.jobs[index(job)].state {
            State::Match => timings.match_,
            State::Launch => timings.launch,
            State::Token => timings.token,
            _ => timings.cleanup,
        };
        let by = self.now + took.draw(&mut self.rng);
        let shared = self.setup.timings.machine;
        let processed = shared.map_or(0, |machine| self.processed(machine.function));
        self.at(by.max(processed), Event::Finish(job));
    }

    /// The state's function ends.
    pub(super) fn finish(&mut self, job: JobId) {
        self.functions -= 1;
        match self.job(job).state {
            State::Match => self.go_on(job, State::Launch, 0),
            State::Launch => self.go_on(job, State::Token, 0),
            State::Token => self.register(job),
            _ => self.clean_up(job),
        }
    }

    /// What `token` does.
    fn register(&mut self, job: JobId) {
        let it = self.job(job);
        let doubted = it.doubted || it.attempt.rechecks();
        let answer = if doubted {
            self.ask(job, Call::Job)
        } else {
            Ok(())
        };
        if doubted && answer.is_ok() && !self.job_is_queued(job) {
            return self.throw(job, "JobNotQueued", Ending::JobNotQueued);
        }
        match answer.and_then(|()| self.ask(job, Call::Register)) {
            Ok(()) => {
                self.job(job).writes = 0;
                self.write(job);
            }
            Err(Refusal::RateLimited(seconds)) => {
                self.throw(job, "GitHubRateLimited", Ending::RateLimited(seconds));
            }
            Err(Refusal::Unavailable) => {
                self.throw(job, "GitHubUnavailable", Ending::GitHubUnavailable);
            }
        }
    }

    /// Its client repeats a throttled write by itself, while the function waits.
    pub(super) fn write_again(&mut self, job: JobId) {
        self.functions -= 1;
        self.write(job);
    }

    /// Writes the registration to Parameter Store.
    fn write(&mut self, job: JobId) {
        if !self.buckets.parameter_store.take(self.now, 1) {
            self.refused(Limit::ParameterStore);
            let fraction = self.rng.f64();
            let it = self.job(job);
            it.refused = Some(Limit::ParameterStore);
            it.writes += 1;
            if it.writes < CALLS {
                let pause = micros(fraction * 2_f64.powi(it.writes.cast_signed() - 1));
                self.functions += 1;
                self.figures.lost(Limit::ParameterStore, pause);
                return self.after(pause, Event::Write(job));
            }
            // It withdraws the registration.
            let _ = self.ask(job, Call::DeleteRunner);
            return self.throw(job, "Throttled", Ending::TokenThrottled);
        }
        let it = self.job(job);
        it.refused = None;
        it.task = None;
        let next = if self.pool.is_some() {
            let claimed = self.claim(job);
            self.job(job).task = claimed;
            State::Start
        } else {
            State::Runner
        };
        self.go_on(job, next, 0);
    }

    /// What `cleanup` does at an attempt's end.
    fn clean_up(&mut self, job: JobId) {
        let ending = self.job(job).ending;
        let ended = self.told(ending);
        let status = match self.job(job).status {
            Status::Queued => JobStatus::Queued,
            Status::Running => JobStatus::IN_PROGRESS,
            Status::Completed => JobStatus::COMPLETED,
        };
        let now = self.now;
        let noted = self.job(job).noted.is_some_and(|since| since <= now);
        let note = noted.then_some(NoteSeen { own_runner: true });
        let mut known = None;
        if on_note(&ended, note) == OnNote::Over {
            known = Some(&JobStatus::COMPLETED);
        } else if ended.asks_github() {
            let deleted = if ended.leaves_a_runner() {
                self.ask(job, Call::DeleteRunner)
            } else {
                Ok(())
            };
            match deleted.and_then(|()| self.ask(job, Call::Job)) {
                Ok(()) => known = Some(&status),
                Err(Refusal::RateLimited(seconds)) => {
                    let pause = micros(f64::from(seconds));
                    self.job(job).pause = pause;
                    return self.go_on(job, State::WaitForGitHub, 0);
                }
                Err(Refusal::Unavailable) => {
                    return self.throw(job, "GitHubUnavailable", Ending::GitHubUnavailable);
                }
            }
        }
        let situation = Situation {
            ended: &ended,
            attempt: &self.jobs[index(job)].attempt,
            job: known,
            queued_for: Duration::from_micros(self.queued_for(job)),
            others_picked_up: None,
            successor: false,
            budget: BUDGET,
        };
        let jitter = self.rng.f64();
        match judge(&situation, jitter) {
            Verdict::End => {
                self.figures.open -= 1;
                self.figures.attempts += u64::from(self.job(job).attempt.number);
            }
            Verdict::Relaunch { after, attempt } => {
                // `cleanup` tells whole seconds.
                let seconds = after.as_secs().max(1);
                let pause = Duration::from_secs(seconds).mul_f64(self.setup.timings.waits);
                let pause = Time::try_from(pause.as_micros()).unwrap_or(Time::MAX);
                self.lost_time(job, pause);
                self.job(job).attempt = attempt;
                self.job(job).pause = pause;
                self.go_on(job, State::Wait, 0);
            }
            Verdict::GiveUp { reason, .. } => {
                self.job(job).failure = Failure::Named(reason);
                self.go_on(job, State::Failed, 0);
            }
        }
    }

    /// Counts time for the limit that refused the job.
    fn lost_time(&mut self, job: JobId, time: Time) {
        if let Some(limit) = self.job(job).refused {
            self.figures.lost(limit, time);
        }
    }

    /// A state's call fails: the machine repeats it, or `Cleanup` is next.
    pub(super) fn throw(&mut self, job: JobId, error: &str, ending: Ending) {
        let fraction = self.rng.f64();
        let it = &mut self.jobs[index(job)];
        let again = self
            .machine
            .retries(it.state, error, &mut it.tries, fraction);
        if let Some(delay) = again {
            self.lost_time(job, delay);
            return self.after(delay, Event::Enter(job));
        }
        let next = match it.state {
            // Nothing was made; or the execution's event calls `cleanup` again.
            State::Match | State::Cleanup => State::Failed,
            _ => State::Cleanup,
        };
        it.ending = ending;
        it.failure = Failure::from_name(error);
        self.go_on(job, next, 0);
    }

    /// What `decisions` reads from how an attempt ended.
    fn told(&mut self, ending: Ending) -> Ended {
        self.told
            .entry(ending)
            .or_insert_with(|| ending.told())
            .clone()
    }
}

impl Ending {
    /// What Step Functions tells of it, in the words of AWS and of this system's functions.
    fn told(self) -> Ended {
        let error = |error: &str, cause: &str| {
            Ended::from_error(&StepError {
                error: error.to_owned(),
                cause: cause.to_owned(),
            })
        };
        let exited = |code, stop: &str| {
            Ended::from_task(&EndedTask {
                stop_code: Some(stop.to_owned()),
                containers: vec![EndedContainer {
                    name: protocol::CONTAINER.to_owned(),
                    exit_code: Some(code),
                    reason: None,
                }],
                ..EndedTask::default()
            })
        };
        let exit = |exit: decisions::AgentExit| i32::from(exit.code());
        match self {
            Self::RanJob => exited(
                exit(decisions::AgentExit::RanJob),
                "EssentialContainerExited",
            ),
            Self::Idle => exited(exit(decisions::AgentExit::Idle), "EssentialContainerExited"),
            Self::Released => exited(
                exit(decisions::AgentExit::Released),
                "EssentialContainerExited",
            ),
            Self::Interrupted => exited(exit(decisions::AgentExit::Stopped), "SpotInterruption"),
            Self::InterruptedInJob => {
                exited(exit(decisions::AgentExit::StoppedInJob), "SpotInterruption")
            }
            Self::RegistrationUnavailable => exited(
                exit(decisions::AgentExit::RegistrationUnavailable),
                "EssentialContainerExited",
            ),
            Self::NotStarted => Ended::from_task(&EndedTask {
                stop_code: Some("TaskFailedToStart".to_owned()),
                stopped_reason: Some(
                    "Timeout waiting for network interface provisioning to complete.".to_owned(),
                ),
                ..EndedTask::default()
            }),
            Self::NoCapacity => error(
                "AmazonECS.Unknown",
                "{\"Failures\":[{\"Reason\":\"You've reached the limit on the number of vCPUs you can run concurrently\"}],\"Tasks\":[]}",
            ),
            Self::RunTaskThrottled => error(
                "ECS.AmazonECSException",
                "Rate exceeded (Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException)",
            ),
            Self::TokenThrottled => error("Throttled", "ssm:PutParameter: rate exceeded"),
            Self::FunctionThrottled => error("Lambda.TooManyRequestsException", "Rate exceeded"),
            Self::RateLimited(seconds) => error("GitHubRateLimited", &seconds.to_string()),
            Self::GitHubUnavailable => error("GitHubUnavailable", "GitHub answered 503"),
            Self::JobNotQueued => error("JobNotQueued", "the job is in progress"),
        }
    }
}
