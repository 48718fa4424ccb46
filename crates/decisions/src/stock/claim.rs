//! The claim of a warm task: `token` on one side, the task's agent on the other.
//!
//! A bell is written by conditional writes alone and never deleted, so that a lost answer of the
//! table can be told from a write that was not done:
//!
//! ```text
//! no bell ──token, if there is none──▶ ring ──agent, if it rings──▶ taken
//! no bell or ring ──token withdraws──▶ leave
//! no bell ──keeper or sweep, if there is none──▶ leave
//! ```

use std::time::Duration;

use super::keeper::TicketState;

/// How long a claimed task may take to answer. It looks at its bell every half second; one that has
/// not answered after this time is about to end, or has ended.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// What a bell says. `taken` and `leave` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bell {
    /// An execution offers its registration.
    Ring,
    /// The task has answered: it takes the registration.
    Taken,
    /// The task is to end. It gets no registration any more.
    Leave,
}

impl Bell {
    pub const ALL: &'static [Self] = &[Self::Ring, Self::Taken, Self::Leave];

    /// Its value in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Taken => "taken",
            Self::Leave => "leave",
        }
    }

    /// Parses the value in the table.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bell| bell.name() == name)
    }
}

/// A ticket as a claim reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub state: TicketState,
    /// Revision of its task's task definition.
    pub revision: u64,
    /// Whether its task runs on Spot.
    pub spot: bool,
}

/// What is known when an execution may claim a warm task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimSeen {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Revision that `match` selected.
    pub revision: u64,
    /// Whether the attempt would run on Spot.
    pub spot: bool,
    /// Whether the attempt's task has another size or another role than its definition's, which all
    /// warm tasks have.
    pub differs: bool,
    /// The ticket; `None` before the first look, whose conditional deletion has the same conditions.
    pub ticket: Option<Ticket>,
}

/// Whether an execution may claim this ticket, or any.
///
/// Only the first attempt does: whatever was wrong with a warm task, the next attempt runs without
/// the stock. An older revision than the job's would be the wrong image, and a job whose offer is
/// not on Spot must not be put there. A job that asked for a size gets that size, and a job never gets a
/// role that is not its own.
pub fn may_claim(seen: &ClaimSeen) -> bool {
    let serves = seen.ticket.is_none_or(|ticket| {
        ticket.state == TicketState::Ready
            && ticket.revision >= seen.revision
            && (seen.spot || !ticket.spot)
    });
    seen.attempt == 1 && !seen.differs && serves
}

/// What a consistent read of the bell says after `token` rang, whatever its put was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no bell: the ring was not written.
    Nothing,
    Bell(Bell),
    /// The read failed.
    Unknown,
}

/// What `token` does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAnswer {
    /// The task took the registration.
    Adopted,
    LookAgain,
    /// Set the bell to `leave` if it is `ring` or missing, then ask [`on_withdrawn`].
    Withdraw,
    /// Somebody told the task to leave before it was rung.
    GoCold,
}

/// Decides after a read of the bell. `waited` is the time since the ring.
pub fn on_answer(answer: Answer, waited: Duration) -> OnAnswer {
    match answer {
        Answer::Bell(Bell::Taken) => OnAnswer::Adopted,
        Answer::Bell(Bell::Leave) => OnAnswer::GoCold,
        Answer::Bell(Bell::Ring) | Answer::Unknown if waited < ANSWER_LIMIT => OnAnswer::LookAgain,
        // Without a bell the ring was not written; if it still comes, it meets the withdrawal's bell.
        Answer::Nothing | Answer::Bell(Bell::Ring) | Answer::Unknown => OnAnswer::Withdraw,
    }
}

/// What the table answered to a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// The bell says `leave` now.
    Done,
    /// Its condition failed: this is what the bell says.
    Refused(Bell),
    /// It is unknown whether it was done.
    Undecided,
}

/// How an attempt's runner starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Start {
    /// A warm task has taken the registration, or may have.
    Warm,
    /// RunTask starts a task for it.
    Cold,
}

/// Decides after a withdrawal.
///
/// If it stays undecided the task may have the registration, and a cold task would find none. So the
/// execution waits for the warm one: if it was never rung, `sweep` tells it to leave, and its end
/// leads to another attempt.
pub fn on_withdrawn(answer: Withdrawn) -> Start {
    match answer {
        Withdrawn::Done | Withdrawn::Refused(Bell::Leave) => Start::Cold,
        Withdrawn::Refused(Bell::Taken | Bell::Ring) | Withdrawn::Undecided => Start::Warm,
    }
}

/// What a waiting task does about its bell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBell {
    /// Look again.
    Wait,
    /// Set the bell to `taken` if it is `ring`. Done: take the registration. Otherwise look again.
    Answer,
    /// Take the registration: it has answered, and the table's response was lost.
    Take,
    /// End without having touched anything.
    Leave,
}

/// Decides from what the task read; a stale read only costs another look.
pub fn on_bell(bell: Option<Bell>) -> OnBell {
    match bell {
        None => OnBell::Wait,
        Some(Bell::Ring) => OnBell::Answer,
        Some(Bell::Taken) => OnBell::Take,
        Some(Bell::Leave) => OnBell::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_attempt_claims_what_is_ready_and_suits_it() {
        let ticket = Ticket {
            state: TicketState::Ready,
            revision: 7,
            spot: false,
        };
        let seen = ClaimSeen {
            attempt: 1,
            revision: 7,
            spot: true,
            differs: false,
            ticket: Some(ticket),
        };
        let with = |ticket| ClaimSeen {
            ticket: Some(ticket),
            ..seen
        };
        let spot = Ticket {
            spot: true,
            ..ticket
        };
        let cases = [
            (
                "before the first look",
                ClaimSeen {
                    ticket: None,
                    ..seen
                },
                true,
            ),
            ("a ready one", seen, true),
            (
                "a newer one",
                ClaimSeen {
                    revision: 6,
                    ..seen
                },
                true,
            ),
            (
                "an older one",
                ClaimSeen {
                    revision: 8,
                    ..seen
                },
                false,
            ),
            ("a second attempt", ClaimSeen { attempt: 2, ..seen }, false),
            (
                "a second attempt before the first look",
                ClaimSeen {
                    attempt: 2,
                    ticket: None,
                    ..seen
                },
                false,
            ),
            (
                "a task of another size or role",
                ClaimSeen {
                    differs: true,
                    ..seen
                },
                false,
            ),
            (
                "one that is starting",
                with(Ticket {
                    state: TicketState::Started,
                    ..ticket
                }),
                false,
            ),
            (
                "one that is reserved",
                with(Ticket {
                    state: TicketState::Reserved,
                    ..ticket
                }),
                false,
            ),
            ("Spot for Spot", with(spot), true),
            (
                "Spot for what must not be there",
                ClaimSeen {
                    spot: false,
                    ..with(spot)
                },
                false,
            ),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(may_claim(&seen), expected, "{name}");
        }
    }

    #[test]
    fn a_task_that_does_not_answer_in_time_is_given_up() {
        let early = Duration::from_millis(2_999);
        let late = Duration::from_secs(3);
        for answer in [Answer::Bell(Bell::Ring), Answer::Unknown] {
            assert_eq!(on_answer(answer, early), OnAnswer::LookAgain, "{answer:?}");
            assert_eq!(on_answer(answer, late), OnAnswer::Withdraw, "{answer:?}");
        }
        for waited in [Duration::ZERO, early, late] {
            let taken = on_answer(Answer::Bell(Bell::Taken), waited);
            assert_eq!(taken, OnAnswer::Adopted);
            let left = on_answer(Answer::Bell(Bell::Leave), waited);
            assert_eq!(left, OnAnswer::GoCold);
            assert_eq!(on_answer(Answer::Nothing, waited), OnAnswer::Withdraw);
        }
    }

    #[test]
    fn a_cold_task_follows_only_if_the_warm_one_can_no_longer_answer() {
        assert_eq!(on_withdrawn(Withdrawn::Done), Start::Cold);
        assert_eq!(on_withdrawn(Withdrawn::Refused(Bell::Leave)), Start::Cold);
        assert_eq!(on_withdrawn(Withdrawn::Refused(Bell::Taken)), Start::Warm);
        assert_eq!(on_withdrawn(Withdrawn::Undecided), Start::Warm);
    }

    #[test]
    fn a_task_answers_before_it_takes_and_remembers_an_answer_that_was_lost() {
        assert_eq!(on_bell(None), OnBell::Wait);
        assert_eq!(on_bell(Some(Bell::Ring)), OnBell::Answer);
        assert_eq!(on_bell(Some(Bell::Taken)), OnBell::Take);
        assert_eq!(on_bell(Some(Bell::Leave)), OnBell::Leave);
    }

    #[test]
    fn names_read_back() {
        for bell in Bell::ALL {
            assert_eq!(Bell::from_name(bell.name()), Some(*bell));
        }
        assert_eq!(Bell::from_name("rang"), None);
    }
}
