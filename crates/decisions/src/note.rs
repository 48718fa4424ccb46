//! What a note about a job proves.
//!
//! `verify` notes from GitHub's `completed` webhook that a job has ended, and on which runner. A webhook
//! may be lost, late or repeated, so a note may be missing. It can spare the question to GitHub whether a
//! job left the queue. It is never a reason to launch: only GitHub says that a job is queued.
//!
//! `in_progress` is not noted: GitHub can take a job back from a runner that began it, and the runner's
//! end does not always show that ([4598]).
//!
//! [4598]: https://github.com/actions/runner/issues/4598

use crate::outcome::Ended;
use crate::outcomes::Outcome;

/// What the note says about the job of an attempt that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteSeen {
    /// Whether the job ended on the attempt's own runner, and not on another one.
    pub own_runner: bool,
}

/// What follows from a note, or from none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNote {
    /// GitHub is asked whether the job left the queue.
    Ask,
    /// The job has ended.
    Over,
}

/// Decides whether GitHub is asked about the job of an attempt that ended.
///
/// A job that ended on the attempt's own runner, which ended well, left the queue in this attempt.
/// Anything less may be of an earlier stay in the queue, should GitHub ever queue an ended job again
/// under its id.
pub fn on_note(ended: &Ended, note: Option<NoteSeen>) -> OnNote {
    let own = note.is_some_and(|note| note.own_runner);
    if own && ended.outcome == Outcome::RanJob {
        OnNote::Over
    } else {
        OnNote::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(outcome: Outcome) -> Ended {
        Ended {
            outcome,
            fault: None,
            detail: String::new(),
            task: None,
            retry_after: None,
        }
    }

    #[test]
    fn only_a_job_that_ended_on_its_own_runner_is_over() {
        for outcome in Outcome::ALL {
            for (note, over) in [
                (None, false),
                (Some(NoteSeen { own_runner: false }), false),
                (
                    Some(NoteSeen { own_runner: true }),
                    *outcome == Outcome::RanJob,
                ),
            ] {
                let decided = on_note(&ended(*outcome), note) == OnNote::Over;
                assert_eq!(decided, over, "{outcome:?} {note:?}");
            }
        }
    }

    #[test]
    fn what_a_note_spares_leaves_no_runner_to_delete() {
        let ended = ended(Outcome::RanJob);
        assert!(ended.asks_github() && !ended.leaves_a_runner());
    }
}
