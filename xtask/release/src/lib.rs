//! What a release consists of, and how its files are made from built programs.
//!
//! The version is the workspace's; every file is named after it. A file of the same content has the
//! same bytes, whoever makes it and when: an archive holds no times and no owners.

mod archive;
mod checksums;
mod package;
mod version;

pub use archive::{agent, command_line, function_zip, functions};
pub use checksums::checksums;
pub use package::{package, templates};
pub use version::{VERSION, check_tag, check_versions};
