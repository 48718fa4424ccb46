//! Copies the end of the runner's own diagnostics to the log, before the task disappears.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use crate::log::Log;

/// The listener's log and its worker's; a third after an update.
const FILES: usize = 3;
/// Bytes of each file: enough for a stack trace and its context, short enough to read.
const TAIL: u64 = 16 * 1024;
/// Bytes of the listener's log that are searched for a line near its end. Only a dying worker's
/// last lines and the goodbye to GitHub follow that line.
const SEARCHED: u64 = 256 * 1024;

/// Writes the end of the newest files to the log.
pub(crate) fn show(directory: &Path, log: &Log) {
    for file in newest(directory) {
        match tail(&file, TAIL) {
            Ok(text) => {
                log.info(
                    "diagnostics of the runner follow",
                    json!({ "file": file.display().to_string() }),
                );
                text.lines().for_each(|line| log.line(line));
            }
            Err(error) => {
                let fields =
                    json!({ "file": file.display().to_string(), "error": error.to_string() });
                log.error("cannot read the runner's diagnostics", fields);
            }
        }
    }
}

/// The end of the newest listener log, if there is one.
pub(crate) fn of_listener(directory: &Path) -> String {
    newest(directory)
        .into_iter()
        .rev()
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("Runner_"))
        })
        .and_then(|path| tail(&path, SEARCHED).ok())
        .unwrap_or_default()
}

/// The newest files, oldest first. Empty if the runner never ran.
fn newest(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(FILES);
    files
        .into_iter()
        .skip(surplus)
        .map(|(_, path)| path)
        .collect()
}

fn tail(path: &Path, most: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // Skips a partial first line: it could start with half a secret.
    let whole = if start == 0 {
        &*text
    } else {
        text.split_once('\n').map_or("", |(_, rest)| rest)
    };
    Ok(whole.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_tail_is_bounded_and_begins_with_a_whole_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Runner_1.log");
        let line = format!("{}\n", "x".repeat(99));
        fs::write(&path, line.repeat(1_000)).unwrap();
        let text = tail(&path, TAIL).unwrap();
        assert!(
            text.len() > 16_000 && text.len() as u64 <= TAIL,
            "{}",
            text.len()
        );
        assert!(text.lines().all(|line| line.len() == 99));
    }

    #[test]
    fn a_short_file_is_shown_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Runner_1.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(tail(&path, TAIL).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn only_the_newest_logs_are_shown_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        for (age, name) in [
            (1, "d.log"),
            (5, "a.log"),
            (4, "b.log"),
            (3, "c.log"),
            (0, "pages.txt"),
        ] {
            let file = File::create(directory.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age * 60))
                .unwrap();
        }
        let names: Vec<_> = newest(directory.path())
            .into_iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["b.log", "c.log", "d.log"]);
        assert!(newest(&directory.path().join("missing")).is_empty());
    }
}
