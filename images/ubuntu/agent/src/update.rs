//! Waits for the runner's update of itself.
//!
//! The listener has started a script and left; the script waits for it to be gone (and reaped: it
//! looks at `/proc`), puts the new version in place, and leaves a file
//! ([source](https://github.com/actions/runner/blob/main/src/Misc/layoutbin/update.sh.template)).

use std::path::Path;
use std::time::Duration;

/// The script takes some three seconds. The runner's own helper waits for thirty.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
const INTERVAL: Duration = Duration::from_millis(100);
const MARK: &str = "update.finished";

/// Whether the update was finished in time. Takes the mark away, for the next one.
pub(crate) async fn finished(home: &Path, limit: Duration) -> bool {
    let mark = home.join(MARK);
    let look = async {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            if mark.exists() {
                // A mark that stays is met again only by a second update, which nobody waits for.
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
