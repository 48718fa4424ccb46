//! Hours of the week, in UTC. Pure.

use time::{OffsetDateTime, Weekday};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A span of a day, in minutes since midnight. A span whose end is not after its start ends on the
/// next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    from: u16,
    to: u16,
}

impl Span {
    /// `None` if it ends as it begins: that could mean a whole day or nothing.
    pub(crate) fn new(from: u16, to: u16) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }

    /// Whether a moment is in a span that begins on any day.
    pub(crate) fn holds(self, now: OffsetDateTime) -> bool {
        self.holds_on(now, |_| true)
    }

    /// Whether a moment is in a span that begins on one of some days.
    pub(crate) fn holds_on(self, now: OffsetDateTime, begins: impl Fn(Weekday) -> bool) -> bool {
        let now = now.to_offset(time::UtcOffset::UTC);
        let minute = u16::from(now.hour()) * 60 + u16::from(now.minute());
        let today = now.weekday();
        if self.from < self.to {
            return begins(today) && (self.from..self.to).contains(&minute);
        }
        begins(today) && minute >= self.from || begins(today.previous()) && minute < self.to
    }
}

/// Minutes since midnight of `HH:MM`, at most `24:00`.
pub(crate) fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn span(from: &str, to: &str) -> Span {
        Span::new(minutes(from).unwrap(), minutes(to).unwrap()).unwrap()
    }

    /// 2026-01-05 is a Monday.
    fn on_weekdays(span: Span, now: OffsetDateTime) -> bool {
        span.holds_on(now, |day| {
            !matches!(day, Weekday::Saturday | Weekday::Sunday)
        })
    }

    #[test]
    fn a_span_begins_with_its_first_minute_and_ends_before_its_last() {
        let day = span("08:00", "18:00");
        for (now, holds) in [
            (datetime!(2026-01-05 07:59:59 UTC), false),
            (datetime!(2026-01-05 08:00 UTC), true),
            (datetime!(2026-01-05 17:59:59 UTC), true),
            (datetime!(2026-01-05 18:00 UTC), false),
            (datetime!(2026-01-10 12:00 UTC), false),
        ] {
            assert_eq!(on_weekdays(day, now), holds, "{now}");
        }
    }

    #[test]
    fn a_span_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = span("22:00", "06:00");
        for (now, holds) in [
            (datetime!(2026-01-05 05:59 UTC), false), // began on Sunday
            (datetime!(2026-01-05 22:00 UTC), true),
            (datetime!(2026-01-06 00:00 UTC), true),
            (datetime!(2026-01-06 05:59 UTC), true),
            (datetime!(2026-01-06 06:00 UTC), false),
            (datetime!(2026-01-10 05:59 UTC), true), // began on Friday
            (datetime!(2026-01-10 22:00 UTC), false),
        ] {
            assert_eq!(on_weekdays(night, now), holds, "{now}");
        }
    }

    #[test]
    fn a_day_ends_at_24_00() {
        let evening = span("18:00", "24:00");
        assert!(on_weekdays(evening, datetime!(2026-01-05 23:59:59 UTC)));
        assert!(!on_weekdays(evening, datetime!(2026-01-06 00:00 UTC)));
        let all_day = span("00:00", "24:00");
        assert!(on_weekdays(all_day, datetime!(2026-01-06 00:00 UTC)));
        assert!(!on_weekdays(all_day, datetime!(2026-01-10 00:00 UTC)));
    }

    #[test]
    fn hours_are_utc_whatever_the_offset_of_a_moment() {
        let morning = span("08:00", "09:00");
        assert!(morning.holds(datetime!(2026-07-01 10:30 +02:00)));
        assert!(!morning.holds(datetime!(2026-07-01 08:30 +02:00)));
    }

    #[test]
    fn only_two_digits_each_are_a_time_of_day() {
        assert_eq!(minutes("00:00"), Some(0));
        assert_eq!(minutes("24:00"), Some(1_440));
        for text in ["24:01", "8:00", "08:60", "-1:00", "08", "", "08:00:00"] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }
}
