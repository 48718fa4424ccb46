//! A second chance for a job that Spot or the platform took away while it ran.
//!
//! `cleanup` notes the job where its runner opted in ([`lost_job`]). `sweep` looks at the notes of a
//! run together ([`on_lost_jobs`]), because GitHub re-runs jobs of a run only once all of them have ended,
//! and begins an attempt of the whole run with that. The run's attempt bounds how often.
//!
//! A runner may have taken another job than its own. GitHub's webhook tells which one, or the end of that
//! job's own execution, and either may come after the runner's end. So two notes are kept, of the runner's
//! [`Loss`] and of the job that it took, and whoever writes the second one reads the first.

use std::time::Duration;

use protocol::JobId;
use time::OffsetDateTime;

use crate::job::JobStatus;
use crate::outcome::Ended;
use crate::outcomes::Outcome;

/// How often a job is re-run at most.
pub const RERUNS: u32 = 2;
/// The clocks of ECS and GitHub differ by less, and both are stored in whole seconds. GitHub takes minutes
/// to notice a runner that fell silent.
const CLOCKS: Duration = Duration::from_secs(5);

/// How a runner was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Its agent said that this was during a job.
    InJob,
    /// Its agent knew of no job, or left no word. Its task had stopped by then.
    Silent(OffsetDateTime),
}

/// Whether a runner was taken away, maybe with a job.
///
/// Only ECS's word that it took the task away counts, together with the agent's. How a job ended by
/// itself is its own business.
pub fn loss(ended: &Ended) -> Option<Loss> {
    let task = ended.task.as_ref()?;
    match (task.stop_code.as_deref()?, ended.outcome) {
        ("SpotInterruption" | "TerminationNotice", Outcome::LostInJob) => Some(Loss::InJob),
        ("SpotInterruption" | "TerminationNotice", Outcome::SpotInterruption) => {
            task.stopped_at().map(Loss::Silent)
        }
        _ => None,
    }
}

/// A job and the runner that took it, as far as a second chance depends on them.
#[derive(Clone, Copy, Debug)]
pub struct TakenJob<'a> {
    pub id: JobId,
    /// The attempt of its run, from 1.
    pub run_attempt: u32,
    /// The job's status; `None` if GitHub was not asked.
    pub status: Option<&'a JobStatus>,
    pub runner: &'a str,
}

/// The job to be run again, once both are known: that its runner was taken away, and which job that
/// runner had.
pub fn lost_job(loss: Option<Loss>, taken: Option<TakenJob<'_>>) -> Option<LostJob> {
    let (loss, taken) = (loss?, taken?);
    let open = taken
        .status
        .is_none_or(|job| job.runner() == Some(taken.runner) && may_be_lost(job));
    (open && taken.run_attempt <= RERUNS).then(|| LostJob {
        id: taken.id,
        runner: taken.runner.to_owned(),
        run_attempt: taken.run_attempt,
        loss,
    })
}

/// Whether GitHub says nothing else of the job than of one whose runner was taken away. It takes minutes
/// to notice a runner that fell silent, and calls the job of one that was shut down failed or cancelled.
fn may_be_lost(job: &JobStatus) -> bool {
    match job {
        JobStatus::InProgress { .. } => true,
        JobStatus::Completed { conclusion, .. } => {
            matches!(conclusion.as_deref(), Some("failure" | "cancelled"))
        }
        JobStatus::Queued | JobStatus::Waiting | JobStatus::Absent => false,
    }
}

/// A job that was noted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LostJob {
    pub id: JobId,
    /// The runner that it was lost on.
    pub runner: String,
    /// The attempt of its run.
    pub run_attempt: u32,
    pub loss: Loss,
}

/// A run with jobs that were noted.
#[derive(Clone, Copy, Debug)]
pub struct RunOfLost<'a> {
    /// Its newest attempt.
    pub attempt: u32,
    /// Whether all its jobs have ended.
    pub over: bool,
    /// Whether GitHub concluded that it was cancelled.
    pub cancelled: bool,
    /// The jobs of that attempt.
    pub jobs: &'a [(JobId, JobStatus)],
}

/// What to do about the notes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLostJobs {
    /// Keep them: the run goes on.
    Wait,
    /// Forget them: none of the jobs needs a second chance, or somebody gave it.
    Forget,
    /// Re-run this job, and forget them.
    Rerun(JobId),
    /// Re-run all failed jobs of the run, which are the noted ones, and forget them.
    RerunFailed,
}

/// Decides about the notes of one run.
///
/// A single job is re-run by its id. GitHub takes one id for each attempt of a run, so several are
/// re-run together if no other job of the run failed. Otherwise only the first gets its chance: the run
/// needs somebody's attention anyway.
pub fn on_lost_jobs(notes: &[LostJob], run: RunOfLost<'_>) -> OnLostJobs {
    // An answer of GitHub may be older than the note.
    if notes.iter().any(|note| note.run_attempt > run.attempt) {
        return OnLostJobs::Wait;
    }
    let mut current = notes
        .iter()
        .filter(|note| note.run_attempt == run.attempt && note.run_attempt <= RERUNS)
        .peekable();
    if current.peek().is_none() {
        return OnLostJobs::Forget;
    }
    if !run.over {
        return OnLostJobs::Wait;
    }
    let lost: Vec<JobId> = current
        .filter(|note| {
            let job = run.jobs.iter().find(|(id, _)| *id == note.id);
            job.is_some_and(|(_, job)| is_lost(note, job, run.cancelled))
        })
        .map(|note| note.id)
        .collect();
    let alone = || {
        let mut failed = run.jobs.iter().filter(|(_, job)| has_failed(job));
        failed.all(|(id, _)| lost.contains(id))
    };
    match lost.as_slice() {
        [] => OnLostJobs::Forget,
        [_, _, ..] if alone() => OnLostJobs::RerunFailed,
        [first, ..] => OnLostJobs::Rerun(*first),
    }
}

/// Whether a noted job ended as the noted runner's loss.
///
/// If GitHub calls the job failed and its run cancelled, somebody cancelled the run afterwards. A runner
/// that said nothing of a job may have ended one by itself before, so GitHub must have ended the job after
/// the runner's task.
fn is_lost(note: &LostJob, job: &JobStatus, run_cancelled: bool) -> bool {
    let JobStatus::Completed {
        conclusion,
        completed_at,
        ..
    } = job
    else {
        return false;
    };
    let failed = conclusion.as_deref() == Some("failure");
    let by_the_loss = match note.loss {
        Loss::InJob => !(run_cancelled && failed),
        Loss::Silent(since) => {
            !run_cancelled && completed_at.is_some_and(|at| at >= since + CLOCKS)
        }
    };
    job.runner() == Some(&note.runner) && may_be_lost(job) && by_the_loss
}

fn has_failed(job: &JobStatus) -> bool {
    match job {
        JobStatus::Completed { conclusion, .. } => !matches!(
            conclusion.as_deref(),
            Some("success" | "skipped" | "neutral")
        ),
        _ => true,
    }
}

/// Whether a job's task keeps off Spot: the runner opted in, and the run is not in its first attempt.
/// Who ran it again does not matter.
pub const fn keeps_off_spot(opted_in: bool, run_attempt: u32) -> bool {
    opted_in && run_attempt > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::EndedTask;

    const OWN: &str = "fr-hello-1";

    /// When the runner's task has stopped.
    const STOPPED: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn ended(outcome: Outcome, code: &str) -> Ended {
        Ended {
            outcome,
            fault: None,
            detail: String::new(),
            task: Some(EndedTask {
                stop_code: Some(code.to_owned()),
                stopped_at: Some("1970-01-01T00:00:00Z".into()),
                ..EndedTask::default()
            }),
            retry_after: None,
        }
    }

    fn completed(conclusion: &str, runner: &str) -> JobStatus {
        JobStatus::Completed {
            conclusion: Some(conclusion.to_owned()),
            runner: Some(runner.to_owned()),
            started_at: None,
            completed_at: None,
        }
    }

    fn running(runner: &str) -> JobStatus {
        JobStatus::InProgress {
            runner: Some(runner.to_owned()),
            started_at: None,
        }
    }

    #[test]
    fn only_what_the_platform_took_away_is_a_loss() {
        for outcome in Outcome::ALL {
            for code in ["SpotInterruption", "TerminationNotice"] {
                let expected = match outcome {
                    Outcome::LostInJob => Some(Loss::InJob),
                    Outcome::SpotInterruption => Some(Loss::Silent(STOPPED)),
                    _ => None,
                };
                assert_eq!(loss(&ended(*outcome, code)), expected, "{outcome:?}");
            }
            for code in ["UserInitiated", "EssentialContainerExited"] {
                assert_eq!(loss(&ended(*outcome, code)), None, "{outcome:?}");
            }
        }
    }

    #[test]
    fn only_a_job_that_its_lost_runner_had_is_noted() {
        let noted = |loss, run_attempt, status: Option<&JobStatus>| {
            let taken = TakenJob {
                id: JobId(1),
                run_attempt,
                status,
                runner: OWN,
            };
            lost_job(loss, Some(taken)).is_some()
        };
        for (why, job, expected) in [
            ("GitHub has not noticed", running(OWN), true),
            ("failed by the loss", completed("failure", OWN), true),
            ("GitHub's other word", completed("cancelled", OWN), true),
            ("it was done in time", completed("success", OWN), false),
            ("another runner's", running("fr-hello-2"), false),
            ("back in the queue", JobStatus::Queued, false),
            ("deleted", JobStatus::Absent, false),
        ] {
            for loss in [Loss::InJob, Loss::Silent(STOPPED)] {
                let noted = |attempt| noted(Some(loss), attempt, Some(&job));
                assert_eq!(noted(1), expected, "{why}");
                assert_eq!(noted(2), expected, "{why}, second time");
                assert!(!noted(3), "{why}, third time");
            }
            assert!(
                !noted(None, 1, Some(&job)),
                "{why}, and its runner ended well"
            );
        }
        assert!(noted(Some(Loss::InJob), 1, None), "`sweep` asks GitHub");
        assert_eq!(lost_job(Some(Loss::InJob), None), None);
    }

    #[test]
    fn a_job_of_a_runner_without_a_word_ended_after_its_task() {
        let ended_at = |seconds, conclusion: &str| JobStatus::Completed {
            conclusion: Some(conclusion.to_owned()),
            runner: Some(OWN.to_owned()),
            started_at: None,
            completed_at: Some(STOPPED + Duration::from_secs(seconds)),
        };
        let note = LostJob {
            id: JobId(1),
            runner: OWN.to_owned(),
            run_attempt: 1,
            loss: Loss::Silent(STOPPED),
        };
        for (why, job, cancelled, lost) in [
            ("GitHub noticed", ended_at(600, "failure"), false, true),
            (
                "it may have failed by itself",
                ended_at(4, "failure"),
                false,
                false,
            ),
            (
                "GitHub does not say when",
                completed("failure", OWN),
                false,
                false,
            ),
            (
                "somebody cancelled it",
                ended_at(600, "cancelled"),
                true,
                false,
            ),
            (
                "and called it failed",
                ended_at(600, "failure"),
                true,
                false,
            ),
        ] {
            assert_eq!(is_lost(&note, &job, cancelled), lost, "{why}");
        }
    }

    #[test]
    fn the_notes_of_a_run_follow_their_table() {
        let note = |id, run_attempt| LostJob {
            id: JobId(id),
            runner: OWN.to_owned(),
            run_attempt,
            loss: Loss::InJob,
        };
        let run = |jobs| RunOfLost {
            attempt: 1,
            over: true,
            cancelled: false,
            jobs,
        };
        let failed = || completed("failure", OWN);
        let one = [(JobId(1), failed()), (JobId(2), completed("success", "x"))];
        let two = [
            (JobId(1), failed()),
            (JobId(2), completed("cancelled", OWN)),
            (JobId(3), completed("skipped", "")),
        ];
        let beside = [
            (JobId(1), failed()),
            (JobId(2), failed()),
            (JobId(3), completed("failure", "x")),
        ];
        let notes = [note(1, 1), note(2, 1)];
        for (why, notes, seen, expected) in [
            ("one", &notes[..1], run(&one), OnLostJobs::Rerun(JobId(1))),
            ("two", &notes[..], run(&two), OnLostJobs::RerunFailed),
            (
                "two beside a genuine failure",
                &notes[..],
                run(&beside),
                OnLostJobs::Rerun(JobId(1)),
            ),
            (
                "the run goes on",
                &notes[..],
                RunOfLost {
                    over: false,
                    ..run(&one)
                },
                OnLostJobs::Wait,
            ),
            (
                "somebody re-ran it",
                &notes[..],
                RunOfLost {
                    attempt: 2,
                    over: false,
                    ..run(&one)
                },
                OnLostJobs::Forget,
            ),
            (
                "GitHub's answer is old",
                &[note(1, 2)][..],
                run(&one),
                OnLostJobs::Wait,
            ),
            (
                "somebody cancelled the run",
                &notes[..1],
                RunOfLost {
                    cancelled: true,
                    ..run(&one)
                },
                OnLostJobs::Forget,
            ),
            (
                "it was done in time",
                &notes[..1],
                run(&[(JobId(1), completed("success", OWN))]),
                OnLostJobs::Forget,
            ),
            (
                "another runner ran it",
                &notes[..1],
                run(&[(JobId(1), completed("failure", "x"))]),
                OnLostJobs::Forget,
            ),
            (
                "twice is enough",
                &[note(1, 3)][..],
                RunOfLost {
                    attempt: 3,
                    ..run(&one)
                },
                OnLostJobs::Forget,
            ),
        ] {
            assert_eq!(on_lost_jobs(notes, seen), expected, "{why}");
        }
    }

    #[test]
    fn a_job_that_is_run_again_keeps_off_spot_where_its_runner_opted_in() {
        assert!(keeps_off_spot(true, 2));
        assert!(!keeps_off_spot(true, 1));
        assert!(!keeps_off_spot(false, 2));
    }
}
