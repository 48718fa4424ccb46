//! Several readings of one figure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The median, and how far the readings lie apart.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of readings in any order; of none, zero.
    pub(crate) fn of(readings: impl IntoIterator<Item = f64>) -> Self {
        let mut readings: Vec<_> = readings.into_iter().collect();
        readings.sort_by(f64::total_cmp);
        let at = |index: usize| readings.get(index).copied().unwrap_or_default();
        let middle = readings.len() / 2;
        Self {
            median: if readings.len() % 2 == 1 {
                at(middle)
            } else {
                f64::midpoint(at(middle.saturating_sub(1)), at(middle))
            },
            min: at(0),
            max: at(readings.len().saturating_sub(1)),
        }
    }

    /// Of times, in milliseconds.
    pub(crate) fn of_times(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(times.into_iter().map(milliseconds))
    }

    /// As it stands in a table.
    pub(crate) fn show(&self, digits: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        let of = |readings: &[f64]| {
            let spread = Spread::of(readings.iter().copied());
            [spread.median, spread.min, spread.max].map(|value| format!("{value}"))
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), ["2", "1", "3"]);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), ["2.5", "1", "4"]);
        assert_eq!(of(&[]), ["0", "0", "0"]);
    }
}
