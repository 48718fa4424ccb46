//! A second chance for a job that Spot or the platform took away while it ran.
//!
//! `cleanup` notes the job where its runner opted in ([`notes_lost_job`]). `sweep` looks at the notes of a
//! run together ([`on_lost_jobs`]), because GitHub re-runs jobs of a run only once all of them have ended,
//! and begins an attempt of the whole run with that. The run's attempt bounds how often.

use protocol::JobId;

use crate::job::JobStatus;
use crate::outcome::Ended;
use crate::outcomes::Outcome;

/// How often a job is re-run at most.
const RERUNS: u32 = 2;

/// An attempt that ended, as far as a second chance for its job depends on it.
#[derive(Clone, Copy, Debug)]
pub struct LossSeen<'a> {
    pub ended: &'a Ended,
    /// The job's status; `None` if GitHub was not asked.
    pub job: Option<&'a JobStatus>,
    /// The attempt's own runner.
    pub runner: &'a str,
    /// The attempt of the job's run, from 1.
    pub run_attempt: u32,
}

/// Whether the job is to be run again.
///
/// Only ECS's word that it took the task away counts, together with the agent's that the task was
/// stopped during a job. If the agent could not leave an exit code, GitHub must still think that the job
/// runs. How a job ended by itself is its own business, and so is the job of another runner.
pub fn notes_lost_job(seen: LossSeen<'_>) -> bool {
    let task = seen.ended.task.as_ref();
    let code = task.and_then(|task| task.stop_code.as_deref());
    if !matches!(code, Some("SpotInterruption" | "TerminationNotice")) || seen.run_attempt > RERUNS
    {
        return false;
    }
    let Some(job) = seen.job.filter(|job| job.runner() == Some(seen.runner)) else {
        return false;
    };
    match seen.ended.outcome {
        Outcome::LostInJob => may_be_lost(job),
        Outcome::SpotInterruption => matches!(job, JobStatus::InProgress { .. }),
        _ => false,
    }
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

/// Whether a noted job ended as the noted runner's loss. If GitHub calls the job failed and its run
/// cancelled, somebody cancelled the run afterwards.
fn is_lost(note: &LostJob, job: &JobStatus, run_cancelled: bool) -> bool {
    let JobStatus::Completed { conclusion, .. } = job else {
        return false;
    };
    let cancelled = run_cancelled && conclusion.as_deref() == Some("failure");
    job.runner() == Some(&note.runner) && may_be_lost(job) && !cancelled
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

    fn ended(outcome: Outcome, code: &str) -> Ended {
        Ended {
            outcome,
            fault: None,
            detail: String::new(),
            task: Some(EndedTask {
                stop_code: Some(code.to_owned()),
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
    fn only_a_job_that_the_platform_took_away_is_noted() {
        let spot = ended(Outcome::LostInJob, "SpotInterruption");
        let killed = ended(Outcome::SpotInterruption, "SpotInterruption");
        let retired = ended(Outcome::LostInJob, "TerminationNotice");
        let stopped = ended(Outcome::LostInJob, "UserInitiated");
        let ran = ended(Outcome::RanJob, "SpotInterruption");
        let starved = ended(Outcome::ExhaustedInJob, "SpotInterruption");
        for (why, ended, job, noted) in [
            ("GitHub has not noticed", &spot, running(OWN), true),
            ("failed by the loss", &spot, completed("failure", OWN), true),
            (
                "GitHub's other word",
                &spot,
                completed("cancelled", OWN),
                true,
            ),
            ("retired by AWS", &retired, running(OWN), true),
            ("killed in its job", &killed, running(OWN), true),
            (
                "ended before its runner was killed",
                &killed,
                completed("failure", OWN),
                false,
            ),
            (
                "it was done in time",
                &spot,
                completed("success", OWN),
                false,
            ),
            ("somebody stopped the task", &stopped, running(OWN), false),
            ("it ran to its end", &ran, completed("failure", OWN), false),
            (
                "its memory ran out",
                &starved,
                completed("failure", OWN),
                false,
            ),
            ("another runner's", &spot, running("fr-hello-2"), false),
            ("back in the queue", &spot, JobStatus::Queued, false),
            ("deleted", &spot, JobStatus::Absent, false),
        ] {
            let seen = |run_attempt| LossSeen {
                ended,
                job: Some(&job),
                runner: OWN,
                run_attempt,
            };
            assert_eq!(notes_lost_job(seen(1)), noted, "{why}");
            assert_eq!(notes_lost_job(seen(2)), noted, "{why}, second time");
            assert!(!notes_lost_job(seen(3)), "{why}, third time");
        }
    }

    #[test]
    fn every_other_outcome_is_the_jobs_own() {
        for outcome in Outcome::ALL {
            let seen = ended(*outcome, "SpotInterruption");
            let noted = notes_lost_job(LossSeen {
                ended: &seen,
                job: Some(&running(OWN)),
                runner: OWN,
                run_attempt: 1,
            });
            let lost = matches!(outcome, Outcome::LostInJob | Outcome::SpotInterruption);
            assert_eq!(noted, lost, "{outcome:?}");
        }
    }

    #[test]
    fn the_notes_of_a_run_follow_their_table() {
        let note = |id, run_attempt| LostJob {
            id: JobId(id),
            runner: OWN.to_owned(),
            run_attempt,
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
