//! How large a program is, and its zip.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A zip's own words about one file: local header, entry and end, each with the name `bootstrap`.
const ZIP_FRAME: u64 = 30 + 46 + 22 + 2 * 9;

/// The bytes of all files of a directory, and of a zip with them.
pub(crate) fn of_directory(directory: &Path) -> anyhow::Result<(u64, u64)> {
    let mut sum = (0, 0);
    let entries =
        fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        // Links could lead in a circle.
        let kind = fs::symlink_metadata(&path)?.file_type();
        let (bytes, packed) = if kind.is_dir() {
            of_directory(&path)?
        } else if kind.is_file() {
            of(&path)?
        } else {
            (0, 0)
        };
        sum = (sum.0 + bytes, sum.1 + packed);
    }
    Ok(sum)
}

/// The bytes of a program, and of a zip with nothing else in it.
pub(crate) fn of(program: &Path) -> anyhow::Result<(u64, u64)> {
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(&bytes)?;
    let packed = deflate.finish()?.len();
    Ok((bytes.len().try_into()?, u64::try_from(packed)? + ZIP_FRAME))
}
