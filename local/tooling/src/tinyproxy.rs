//! The forward proxy of the tests that need one.

use std::path::PathBuf;

/// Finds tinyproxy: the program that `TINYPROXY` names, or the one on the path. Debian has it among the
/// system's programs.
pub fn tinyproxy() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("TINYPROXY") {
        return Some(PathBuf::from(given)).filter(|given| given.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = std::env::split_paths(&path).collect();
    directories.extend(["/usr/bin", "/usr/sbin"].map(PathBuf::from));
    let programs = directories
        .into_iter()
        .map(|directory| directory.join("tinyproxy"));
    programs.into_iter().find(|program| program.is_file())
}
