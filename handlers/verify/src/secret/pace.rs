//! Limits how often the parameter is read. Pure.
//!
//! SSM allows 40 calls a second for the whole account ([quota]), and anybody can send `verify` a wrong
//! signature. Every read is therefore limited per sandbox:
//!
//! | a read follows | not before |
//! |---|---|
//! | any two others | [`MINUTE`] after the first of them |
//! | one that failed | 1 to 4 seconds; where several failed in a row, 60 to 75 seconds |
//! | any other, for a signature that does not match | [`REREAD`]; then one, two, four minutes for each reread in a row that brought no secret that matches |
//!
//! Three hundred sandboxes that all get forged requests make 600 calls in their first minute, and 300
//! in each later one at most. A sandbox that has met no wrong signature for [`QUIET`] reads at once, so
//! that a secret changed a moment ago is accepted.
//!
//! [quota]: https://docs.aws.amazon.com/general/latest/gr/ssm.html

use time::{Duration, OffsetDateTime};

/// No more than two reads begin in any span this long.
const MINUTE: Duration = Duration::minutes(1);
/// Secrets this young are not read again for a signature that does not match.
const REREAD: Duration = Duration::seconds(5);
/// How often the pause between rereads doubles at most: from a minute to eight.
const DOUBLINGS: u32 = 3;
/// A sandbox without a wrong signature for this long is no longer under attack.
const QUIET: Duration = Duration::minutes(10);

/// Why the parameter would be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The secrets are not known, or known for too long.
    Due,
    /// A signature does not match those that are known.
    Mismatch,
}

/// A sandbox's record of its reads.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// When the last reads began, the latest first.
    begun: [Option<OffsetDateTime>; 2],
    /// How many reads in a row have brought nothing.
    failures: u32,
    /// How long after the latest of them the next may begin.
    pause: Duration,
    /// How many rereads in a row have brought no secret that matches.
    fruitless: u32,
    /// When the latest wrong signature came.
    mismatch: Option<OffsetDateTime>,
}

impl Pace {
    /// Whether the parameter may be read now.
    pub fn allows(&self, reason: Reason, now: OffsetDateTime) -> bool {
        let [latest, before] = self.begun.map(|begun| since(begun, now));
        let wait = match reason {
            Reason::Due => self.pause,
            Reason::Mismatch => self.pause.max(self.between_rereads()),
        };
        before >= MINUTE && latest >= wait
    }

    fn between_rereads(&self) -> Duration {
        match self.fruitless.checked_sub(1) {
            None => REREAD,
            Some(more) => MINUTE * (1 << more.min(DOUBLINGS)),
        }
    }

    /// How long after a failed read the next may begin.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// A signature did not match.
    pub fn mismatched(&mut self, now: OffsetDateTime) {
        if since(self.mismatch, now) >= QUIET {
            self.fruitless = 0;
        }
        self.mismatch = Some(now);
    }

    /// A read begins. Until [`Pace::succeeded`] says otherwise it has failed: whoever waits for it may
    /// be gone before it ends. `jitter` from 0 to 1 spreads the sandboxes that failed together.
    pub fn began(&mut self, reason: Reason, now: OffsetDateTime, jitter: f64) {
        self.begun = [Some(now), self.begun[0]];
        self.failures = self.failures.saturating_add(1);
        self.pause = match self.failures {
            1 => Duration::seconds(1) + Duration::seconds(3) * jitter,
            _ => MINUTE + MINUTE / 4 * jitter,
        };
        if reason == Reason::Mismatch {
            self.fruitless = self.fruitless.saturating_add(1);
        }
    }

    /// The read brought secrets.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.pause = Duration::ZERO;
    }

    /// The secrets that a reread brought made a signature match: they had been changed.
    pub fn matched(&mut self) {
        self.fruitless = 0;
    }
}

/// Time since an instant; the maximum if it never was, or lies ahead because the clock was set back.
fn since(then: Option<OffsetDateTime>, now: OffsetDateTime) -> Duration {
    then.map(|then| now - then)
        .filter(|ago| !ago.is_negative())
        .unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    /// Seconds at which a read begins, where one is asked for every second.
    fn read_at(seconds: i64, reason: Reason, fails: bool) -> Vec<i64> {
        let mut pace = Pace::default();
        let mut reads = Vec::new();
        for second in 0..seconds {
            let now = START + Duration::seconds(second);
            if reason == Reason::Mismatch {
                pace.mismatched(now);
            }
            if pace.allows(reason, now) {
                pace.began(reason, now, 0.0);
                reads.push(second);
                if !fails {
                    pace.succeeded();
                }
            }
        }
        reads
    }

    #[test]
    fn a_reread_is_the_rarer_the_more_of_them_bring_nothing() {
        assert_eq!(
            read_at(2_000, Reason::Mismatch, false),
            [0, 60, 180, 420, 900, 1_380, 1_860]
        );
    }

    #[test]
    fn a_failure_is_remembered_for_seconds_and_a_second_one_for_a_minute() {
        assert_eq!(read_at(200, Reason::Due, true), [0, 1, 61, 121, 181]);
    }

    #[test]
    fn a_secret_that_was_changed_ends_the_waiting() {
        let mut pace = Pace::default();
        for minute in [0, 1, 3, 7] {
            let now = START + Duration::minutes(minute);
            pace.mismatched(now);
            assert!(pace.allows(Reason::Mismatch, now), "after {minute} min");
            pace.began(Reason::Mismatch, now, 0.5);
            pace.succeeded();
        }
        let soon = START + Duration::minutes(9);
        assert!(!pace.allows(Reason::Mismatch, soon));
        pace.matched();
        assert!(pace.allows(Reason::Mismatch, soon));
    }

    /// What may happen in a sandbox: time passes, somebody asks for a read, and it goes well or not.
    fn any_history() -> impl Strategy<Value = Vec<(u16, bool, bool, bool)>> {
        prop::collection::vec(
            (
                prop_oneof![0_u16..3, 0_u16..90, 0_u16..900],
                any::<bool>(),
                any::<bool>(),
                any::<bool>(),
            ),
            0..300,
        )
    }

    /// Plays a history; the pace that it leaves, and when reads began.
    fn play(history: &[(u16, bool, bool, bool)], jitter: f64) -> (Pace, Vec<OffsetDateTime>) {
        let (mut pace, mut now, mut reads) = (Pace::default(), START, Vec::new());
        for &(seconds, mismatch, succeeds, matches) in history {
            now += Duration::seconds(seconds.into());
            let reason = if mismatch {
                pace.mismatched(now);
                Reason::Mismatch
            } else {
                Reason::Due
            };
            if pace.allows(reason, now) {
                pace.began(reason, now, jitter);
                reads.push(now);
                if succeeds {
                    pace.succeeded();
                    if matches {
                        pace.matched();
                    }
                }
            }
        }
        (pace, reads)
    }

    proptest! {
        #[test]
        fn no_three_reads_begin_within_a_minute(history in any_history(), jitter in 0.0..1.0) {
            let (_, reads) = play(&history, jitter);
            for three in reads.windows(3) {
                prop_assert!(three[2] - three[0] >= MINUTE, "{three:?}");
            }
        }

        #[test]
        fn a_sandbox_that_was_quiet_reads_at_once(history in any_history(), jitter in 0.0..1.0) {
            let (mut pace, _) = play(&history, jitter);
            let last = START + history.iter().map(|step| Duration::seconds(step.0.into())).sum::<Duration>();
            let now = last + QUIET;
            pace.mismatched(now);
            prop_assert!(pace.allows(Reason::Mismatch, now));
        }

        #[test]
        fn a_clock_that_is_set_back_keeps_nothing_from_being_read(history in any_history(), back in 1_i64..100_000) {
            let (pace, _) = play(&history, 1.0);
            prop_assert!(pace.allows(Reason::Due, START - Duration::seconds(back)));
        }
    }
}
