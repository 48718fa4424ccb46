//! Writes to the console and to `_diag`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2026-01-01 00:00:00Z`, .NET's universal sortable form.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0)
        .unwrap_or(now)
        .format(&Rfc3339)
        .unwrap_or_default()
        .replace('T', " ")
}

/// Prints a line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints a line with a timestamp.
pub(crate) fn event(text: &str) {
    println!("{}: {text}", now());
}

/// Prints a line with a check mark, green in the original.
pub(crate) fn success(text: &str) {
    println!("\u{221a} {text}");
}

/// Prints a line to stderr.
pub(crate) fn error(text: &str) {
    eprintln!("{text}");
}

/// A log in `_diag`. A failed write is ignored, because it must not end the runner.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    file: Option<Mutex<File>>,
    part: &'static str,
}

impl Diagnostics {
    /// `_diag/<part>_<time>-utc.log`.
    pub(crate) fn open(home: &Path, part: &'static str) -> Self {
        let directory = home.join("_diag");
        let stamp: String = now()
            .chars()
            .filter_map(|c| match c {
                '0'..='9' => Some(c),
                ' ' => Some('-'),
                _ => None,
            })
            .collect();
        let file = fs::create_dir_all(&directory)
            .and_then(|()| {
                File::options()
                    .create(true)
                    .append(true)
                    .open(directory.join(format!("{part}_{stamp}-utc.log")))
            })
            .ok()
            .map(Mutex::new);
        Self { file, part }
    }

    pub(crate) fn info(&self, text: &str) {
        self.write("INFO", text);
    }

    pub(crate) fn error(&self, text: &str) {
        self.write("ERR ", text);
    }

    /// Logs in the name of another part of the listener.
    pub(crate) fn said_by(&self, part: &str, text: &str) {
        self.put("INFO", part, text);
    }

    fn write(&self, level: &str, text: &str) {
        self.put(level, self.part, text);
    }

    fn put(&self, level: &str, part: &str, text: &str) {
        if let Some(mut file) = self.file.as_ref().and_then(|file| file.lock().ok()) {
            let _ = writeln!(file, "[{} {level} {part}] {text}", now());
        }
    }
}
