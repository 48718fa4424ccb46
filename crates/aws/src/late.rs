//! What is made when it is first used.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use crate::SdkConfig;

/// A client that is made when it is first used. A client reads the partitions of AWS and compiles their
/// regular expressions, which takes longer than a warm invocation; most events need one or two of a
/// handler's clients. Clones share the client.
pub struct Late<C>(Arc<LazyLock<C, Make<C>>>);

type Make<C> = Box<dyn FnOnce() -> C + Send>;

impl<C: 'static> Late<C> {
    /// One that `make` makes of the configuration.
    pub fn new(config: &SdkConfig, make: fn(&SdkConfig) -> C) -> Self {
        let config = config.clone();
        Self::made_by(move || make(&config))
    }

    pub(crate) fn made_by(make: impl FnOnce() -> C + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }

    /// Makes it now.
    pub fn make(&self) {
        LazyLock::force(&self.0);
    }
}

/// One that is there already, such as a test's.
impl<C: Send + 'static> From<C> for Late<C> {
    fn from(client: C) -> Self {
        Self::made_by(move || client)
    }
}

impl<C> Deref for Late<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Clone for Late<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Late<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Late")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn it_is_made_once_for_all_clones_and_not_before_it_is_used() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let one = Late::made_by(|| MADE.fetch_add(1, Ordering::Relaxed));
        let other = one.clone();
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        assert_eq!((*one, *other), (0, 0));
        other.make();
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }
}
