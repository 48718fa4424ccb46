//! Waits for the runner's self-update.
//!
//! The listener starts a script and exits. The script waits until the listener is gone (and reaped:
//! it looks at `/proc`), installs the new version, and creates a file
//! ([source](https://github.com/actions/runner/blob/main/src/Misc/layoutbin/update.sh.template)).

use std::path::Path;
use std::time::Duration;

/// The script takes about three seconds. The runner's own helper waits thirty.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
const INTERVAL: Duration = Duration::from_millis(100);
const MARK: &str = "update.finished";

/// Whether the update finished in time. Removes the file, for the next update.
pub(crate) async fn finished(home: &Path, limit: Duration) -> bool {
    let mark = home.join(MARK);
    let look = async {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            if mark.exists() {
                // A remaining file matters only for a second update, which the agent does not wait
                // for.
                let _ = std::fs::remove_file(&mark);
                return;
            }
        }
    };
    tokio::time::timeout(limit, look).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_mark_is_awaited_and_taken_away() {
        let home = tempfile::tempdir().unwrap();
        assert!(!finished(home.path(), Duration::from_millis(1)).await);
        std::fs::write(home.path().join(MARK), "").unwrap();
        assert!(finished(home.path(), LIMIT).await);
        assert!(!home.path().join(MARK).exists());
    }
}
