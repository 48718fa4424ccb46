//! Progress through GitHub's list of deliveries, stored in a parameter.
//!
//! One line per field (`mark`, `top`, `cursor`, `left` and `failing`), so that the parameter is
//! readable. The content of an older version, a time alone, is parsed as the mark.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::record::Failing;

/// What one sweep passes on to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Every older delivery is settled.
    pub(super) mark: OffsetDateTime,
    /// A pass over the list that has not reached the mark yet.
    pub(super) pass: Option<Pass>,
    /// Events that failed again.
    pub(super) failing: Failing,
}

/// A pass over the list, from the newest delivery down to the mark, over as many sweeps as
/// necessary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// Its start; newer deliveries were not listed.
    pub(super) top: OffsetDateTime,
    /// Where the next sweep continues; `None` at the beginning.
    pub(super) cursor: Option<String>,
    /// When the oldest delivery failed that is still to be redelivered.
    pub(super) left: Option<OffsetDateTime>,
}

impl Pass {
    /// A pass that starts now.
    pub(super) const fn begin(now: OffsetDateTime) -> Self {
        Self {
            top: now,
            cursor: None,
            left: None,
        }
    }
}

impl State {
    /// Parses the stored text. GitHub keeps no deliveries from before `earliest`.
    pub(super) fn read(text: &str, earliest: OffsetDateTime) -> Self {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        };
        let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        let mark = field("mark").unwrap_or(text.trim());
        let top = field("top").and_then(time);
        Self {
            mark: time(mark).unwrap_or(earliest).max(earliest),
            pass: top.zip(field("cursor")).map(|(top, cursor)| Pass {
                top,
                cursor: Some(cursor.to_owned()),
                left: field("left").and_then(time),
            }),
            failing: Failing::read(field("failing").unwrap_or_default()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        write!(f, "mark {}", time(self.mark))?;
        if let Some(pass) = &self.pass
            && let Some(cursor) = &pass.cursor
        {
            write!(f, "\ntop {}\ncursor {cursor}", time(pass.top))?;
            if let Some(left) = pass.left {
                write!(f, "\nleft {}", time(left))?;
            }
        }
        let failing = self.failing.to_string();
        if !failing.is_empty() {
            write!(f, "\nfailing {failing}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const EARLIEST: OffsetDateTime = datetime!(2025-12-29 12:00 UTC);

    #[test]
    fn what_is_written_reads_back() {
        let whole = "mark 2026-01-01T11:55:00Z\ntop 2026-01-01T12:00:00Z\ncursor v1_17\n\
                     left 2026-01-01T11:58:00Z\nfailing 36918e40:17:2:1767268800 0b989ba4:18:1:1767268801";
        let state = State::read(whole, EARLIEST);
        assert_eq!(state.to_string(), whole);
        assert_eq!(state.pass.unwrap().cursor.as_deref(), Some("v1_17"));
        assert_eq!(
            State::read("", EARLIEST).to_string(),
            "mark 2025-12-29T12:00:00Z"
        );
    }

    #[test]
    fn an_older_versions_mark_is_read() {
        let state = State::read("2026-01-01T11:55:00Z", EARLIEST);
        assert_eq!(state.mark, datetime!(2026-01-01 11:55 UTC));
        assert_eq!(state.pass, None);
    }

    #[test]
    fn what_cannot_be_read_begins_where_github_does() {
        for text in [
            "nonsense",
            "mark x\ntop y\ncursor z\nfailing a:b",
            "2020-01-01T00:00:00Z",
        ] {
            let state = State::read(text, EARLIEST);
            assert_eq!((state.mark, state.pass), (EARLIEST, None), "{text}");
            assert_eq!(state.failing, Failing::default());
        }
    }
}
