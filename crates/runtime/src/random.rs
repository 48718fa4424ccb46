//! Random numbers that spread retries.

/// A random number from 0 to 1; the middle if the system gives none.
pub fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
