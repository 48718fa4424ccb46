//! Delays before retries.

use std::time::Duration;

/// Average delays. Each delay is drawn from half to one and a half of it, so that a hundred jobs
/// with the same trouble do not retry at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Before a call without a response is retried; four times as long before the second retry.
    pub repeat: Duration,
    /// Before a rejected call is checked again. Long enough for another of GitHub's servers to
    /// answer, and short compared with a handler's minute.
    pub second_look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            repeat: Duration::from_millis(250),
            second_look: Duration::from_secs(2),
        }
    }
}

impl Patience {
    /// No delays, for tests.
    pub const NONE: Self = Self {
        repeat: Duration::ZERO,
        second_look: Duration::ZERO,
    };
}

/// From half to one and a half of a delay.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = runtime::random::fraction();
    pause.mul_f64(0.5 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_varies_round_its_middle() {
        let pause = Duration::from_secs(2);
        for _ in 0..100 {
            let drawn = jittered(pause);
            assert!(drawn >= pause / 2 && drawn <= pause * 3 / 2, "{drawn:?}");
        }
    }
}
