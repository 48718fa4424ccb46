//! The stock's keeper: how many tasks are wanted, and what becomes of each ticket.

use std::time::Duration;

/// A ticket without a task after this time belongs to a keeper that crashed, or whose RunTask was
/// not answered. ECS also finds each of its tasks by then (it is eventually consistent).
const START_LIMIT: Duration = Duration::from_mins(1);
/// The pause after the first start that failed, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// A task that ends by itself so soon after its ticket's birth did not start well: its image or its
/// network is broken, and it would be replaced for ever.
const START_PROVEN: Duration = Duration::from_mins(10);

/// A ticket's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TicketState {
    /// Its task is about to be started.
    Reserved,
    /// ECS has accepted its task.
    Started,
    /// Its task runs, and may be claimed.
    Ready,
}

impl TicketState {
    pub const ALL: &'static [Self] = &[Self::Reserved, Self::Started, Self::Ready];

    /// Its value in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Started => "started",
            Self::Ready => "ready",
        }
    }

    /// Parses the value in the table.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }
}

/// A ticket's task, from an event of ECS or from its description by ECS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSeen {
    /// Not looked at, or the ticket has no task yet.
    Unknown,
    Starting,
    Running,
    /// It stops or has stopped.
    Ended,
    /// ECS does not know it: it ended an hour ago, or was created a moment ago.
    Missing,
}

/// What is known about a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketSeen {
    pub state: TicketState,
    /// Time since it was reserved.
    pub age: Duration,
    /// Revision of its task's task definition.
    pub revision: u64,
    /// Whether its task runs on Spot.
    pub spot: bool,
    /// How many other tickets of the family are kept before this one.
    pub ahead: usize,
    pub task: TaskSeen,
}

impl TicketSeen {
    /// Whether its task's end counts as a failed start, as a refusal of RunTask does.
    pub fn is_failed_start(&self) -> bool {
        self.age < START_PROVEN
    }
}

/// What a family's stock is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Tasks, as [`wanted`] says.
    pub tasks: usize,
    /// The newest active revision; `None` if there is none.
    pub revision: Option<u64>,
    pub spot: bool,
    pub max_age: Duration,
}

/// What the keeper does about a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTicket {
    Keep,
    /// Call RunTask again with the same client token, which starts nothing if the first call did.
    StartAgain,
    /// Set it to ready, if it still has this id.
    MarkReady,
    /// Delete it, if it still has this id; only then put the bell `leave`, if there is none.
    Retire,
    /// Its task has ended: delete it, if it still has this id.
    Forget,
}

/// Decides what becomes of a ticket.
pub fn on_ticket(seen: TicketSeen, wanted: Wanted) -> OnTicket {
    let ended = match seen.task {
        TaskSeen::Ended => true,
        TaskSeen::Missing => seen.age >= START_LIMIT,
        TaskSeen::Unknown | TaskSeen::Starting | TaskSeen::Running => false,
    };
    let surplus = seen.ahead >= wanted.tasks;
    let outdated = wanted.revision != Some(seen.revision)
        || wanted.spot != seen.spot
        || seen.age > wanted.max_age;
    match seen.state {
        _ if ended => OnTicket::Forget,
        _ if surplus || outdated => OnTicket::Retire,
        // The event of a task that runs may overtake the note that it was started.
        TicketState::Reserved | TicketState::Started if seen.task == TaskSeen::Running => {
            OnTicket::MarkReady
        }
        TicketState::Reserved if seen.age >= START_LIMIT => OnTicket::StartAgain,
        TicketState::Reserved | TicketState::Started | TicketState::Ready => OnTicket::Keep,
    }
}

/// What asks for tasks at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The schedule's size now.
    pub scheduled: usize,
    /// Tasks to keep after a job; zero outside the hours for it.
    pub lingering: usize,
    /// For how long after a job.
    pub linger: Duration,
    /// Time since the family's last job; `None` if there was none.
    pub since_job: Option<Duration>,
}

/// How many tasks are wanted.
pub fn wanted(demand: Demand) -> usize {
    let lingers = demand.since_job.is_some_and(|since| since < demand.linger);
    let lingering = if lingers { demand.lingering } else { 0 };
    demand.scheduled.max(lingering)
}

/// Failed starts of a family's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// How many had failed in a row when the last pause began.
    pub in_a_row: u32,
    /// Time since that pause ended; `None` if there was none.
    pub over: Option<Duration>,
}

impl Failures {
    /// How many have failed in a row with the one that failed now.
    pub fn with_this_one(self) -> u32 {
        match self.over {
            Some(over) if over < LONGEST_PAUSE => self.in_a_row.saturating_add(1),
            _ => 1,
        }
    }
}

/// How long to start nothing after this many failed starts in a row: the stock must not compete with
/// jobs for capacity.
pub fn pause_after(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        _ => FIRST_PAUSE
            .saturating_mul(1 << (failures - 1).min(16))
            .min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: TicketSeen = TicketSeen {
        state: TicketState::Ready,
        age: Duration::from_mins(5),
        revision: 7,
        spot: false,
        ahead: 1,
        task: TaskSeen::Running,
    };
    const WANTED: Wanted = Wanted {
        tasks: 2,
        revision: Some(7),
        spot: false,
        max_age: Duration::from_hours(6),
    };

    #[test]
    fn tickets_follow_their_table() {
        let in_state = |state, age, task| TicketSeen {
            state,
            age: Duration::from_secs(age),
            task,
            ..SEEN
        };
        let reserved = |age| in_state(TicketState::Reserved, age, TaskSeen::Unknown);
        let started = |task| in_state(TicketState::Started, 5, task);
        let cases = [
            ("ready", SEEN, OnTicket::Keep),
            (
                "ready, not looked at",
                TicketSeen {
                    task: TaskSeen::Unknown,
                    ..SEEN
                },
                OnTicket::Keep,
            ),
            ("just reserved", reserved(59), OnTicket::Keep),
            ("reserved for long", reserved(60), OnTicket::StartAgain),
            (
                "running before its start was noted",
                in_state(TicketState::Reserved, 1, TaskSeen::Running),
                OnTicket::MarkReady,
            ),
            ("starting", started(TaskSeen::Starting), OnTicket::Keep),
            (
                "running now",
                started(TaskSeen::Running),
                OnTicket::MarkReady,
            ),
            (
                "ended while starting",
                started(TaskSeen::Ended),
                OnTicket::Forget,
            ),
            ("not listed yet", started(TaskSeen::Missing), OnTicket::Keep),
            (
                "no longer known",
                TicketSeen {
                    task: TaskSeen::Missing,
                    ..SEEN
                },
                OnTicket::Forget,
            ),
            (
                "ended, and old",
                TicketSeen {
                    task: TaskSeen::Ended,
                    revision: 6,
                    ..SEEN
                },
                OnTicket::Forget,
            ),
            (
                "an older revision",
                TicketSeen {
                    revision: 6,
                    ..SEEN
                },
                OnTicket::Retire,
            ),
            (
                "a revision that is no longer active",
                TicketSeen {
                    revision: 8,
                    ..SEEN
                },
                OnTicket::Retire,
            ),
            (
                "the other capacity",
                TicketSeen { spot: true, ..SEEN },
                OnTicket::Retire,
            ),
            (
                "too old",
                TicketSeen {
                    age: Duration::from_secs(6 * 3_600 + 1),
                    ..SEEN
                },
                OnTicket::Retire,
            ),
            ("surplus", TicketSeen { ahead: 2, ..SEEN }, OnTicket::Retire),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(on_ticket(seen, WANTED), expected, "{name}");
        }
        let nothing = Wanted {
            revision: None,
            ..WANTED
        };
        assert_eq!(on_ticket(SEEN, nothing), OnTicket::Retire);
    }

    #[test]
    fn a_job_keeps_more_tasks_for_a_while() {
        let demand = Demand {
            scheduled: 1,
            lingering: 3,
            linger: Duration::from_mins(20),
            since_job: Some(Duration::from_mins(19)),
        };
        assert_eq!(wanted(demand), 3);
        let over = Some(Duration::from_mins(20));
        for since_job in [None, over] {
            assert_eq!(
                wanted(Demand {
                    since_job,
                    ..demand
                }),
                1
            );
        }
        let scheduled = Demand {
            scheduled: 5,
            ..demand
        };
        assert_eq!(wanted(scheduled), 5);
        assert_eq!(wanted(Demand::default()), 0);
    }

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        let seconds = |failures| pause_after(failures).as_secs();
        assert_eq!([0, 1, 2, 3, 5].map(seconds), [0, 30, 60, 120, 480]);
        assert_eq!([6, 40, u32::MAX].map(seconds), [900, 900, 900]);
    }

    #[test]
    fn failures_count_while_one_follows_the_other() {
        let minutes = Duration::from_mins;
        let with_this_one = |in_a_row, over| Failures { in_a_row, over }.with_this_one();
        assert_eq!(with_this_one(0, None), 1);
        assert_eq!(with_this_one(3, Some(minutes(14))), 4);
        assert_eq!(with_this_one(3, Some(minutes(15))), 1);
        let aged = |age| TicketSeen { age, ..SEEN };
        assert!(aged(minutes(9)).is_failed_start());
        assert!(!aged(minutes(10)).is_failed_start());
    }

    #[test]
    fn names_read_back() {
        for state in TicketState::ALL {
            assert_eq!(TicketState::from_name(state.name()), Some(*state));
        }
        assert_eq!(TicketState::from_name("claimed"), None);
    }
}
