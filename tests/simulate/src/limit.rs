//! How limits count.

/// Microseconds since the simulation's start.
pub(crate) type Time = u64;

pub(crate) const SECOND: Time = 1_000_000;
pub(crate) const MINUTE: Time = 60 * SECOND;
pub(crate) const HOUR: Time = 60 * MINUTE;
pub(crate) const DAY: Time = 24 * HOUR;

/// A token bucket. Tokens are counted in millionths, so that time divides them evenly.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    size: u64,
    per_second: u64,
    tokens: u64,
    /// What was taken in advance.
    owed: u64,
    at: Time,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    pub(crate) fn new((size, per_second): (u32, u32)) -> Self {
        let size = u64::from(size) * TOKEN;
        Self {
            size,
            per_second: u64::from(per_second),
            tokens: size,
            owed: 0,
            at: 0,
        }
    }

    fn refill(&mut self, now: Time) {
        // Both are millionths: of a second, and of a token.
        let added = (now - self.at).saturating_mul(self.per_second);
        let paid = added.min(self.owed);
        self.owed -= paid;
        self.tokens = self.tokens.saturating_add(added - paid).min(self.size);
        self.at = now;
    }

    /// Takes so many tokens, if they are there.
    pub(crate) fn take(&mut self, now: Time, count: u32) -> bool {
        self.refill(now);
        let wanted = u64::from(count) * TOKEN;
        let granted = self.tokens >= wanted;
        if granted {
            self.tokens -= wanted;
        }
        granted
    }

    /// Takes tokens that are not there yet: what follows waits longer.
    pub(crate) fn owe(&mut self, count: u32) {
        self.owed += u64::from(count) * TOKEN;
    }

    /// Microseconds until a token is there.
    pub(crate) fn wait(&mut self, now: Time) -> Time {
        self.refill(now);
        (TOKEN + self.owed)
            .saturating_sub(self.tokens)
            .div_ceil(self.per_second.max(1))
    }
}

/// So many in each fixed span, as GitHub counts.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    most: u32,
    span: Time,
    begun: Time,
    used: u32,
}

impl Window {
    pub(crate) fn new(most: u32, span: Time) -> Self {
        Self {
            most,
            span,
            begun: 0,
            used: 0,
        }
    }

    /// Counts one. If the span is used up: microseconds until the next one begins.
    pub(crate) fn take(&mut self, now: Time) -> Result<(), Time> {
        // A span begins with its first call.
        if now >= self.begun + self.span || self.used == 0 {
            (self.begun, self.used) = (now, 0);
        }
        if self.used == self.most {
            return Err(self.begun + self.span - now);
        }
        self.used += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_grants_its_size_at_once_and_then_its_rate() {
        let mut bucket = Bucket::new((100, 20));
        let granted = |bucket: &mut Bucket, now| (0..1_000).filter(|_| bucket.take(now, 1)).count();
        assert_eq!(granted(&mut bucket, 0), 100);
        assert_eq!(bucket.wait(0), SECOND / 20);
        assert_eq!(granted(&mut bucket, SECOND), 20);
        assert_eq!(granted(&mut bucket, HOUR), 100);
    }

    #[test]
    fn a_window_grants_its_number_and_says_when_the_next_begins() {
        let mut window = Window::new(3, MINUTE);
        let start = 5 * SECOND;
        assert!((0..3).all(|_| window.take(start).is_ok()));
        assert_eq!(window.take(start + SECOND), Err(59 * SECOND));
        assert_eq!(window.take(start + MINUTE), Ok(()));
    }
}
