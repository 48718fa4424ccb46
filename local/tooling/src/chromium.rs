//! The browser of the tests that need one.

use std::path::PathBuf;

/// Tried in this order; the variable `CHROMIUM` takes precedence.
pub const CHROMIUMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Finds Chromium: the program that `CHROMIUM` names, or one on the path.
pub fn chromium() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("CHROMIUM") {
        return Some(PathBuf::from(given)).filter(|given| given.is_file());
    }
    let path = std::env::var_os("PATH")?;
    let directories: Vec<_> = std::env::split_paths(&path).collect();
    let programs = CHROMIUMS.iter().flat_map(|name| {
        directories
            .iter()
            .map(move |directory| directory.join(name))
    });
    let mut found = programs.filter(|program| program.is_file());
    found.next()
}
