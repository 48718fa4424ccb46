//! How large a program is, and its zip.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A zip's own words about one file: local header, entry and end, each with the name `bootstrap`.
const ZIP_FRAME: u64 = 30 + 46 + 22 + 2 * 9;

/// The bytes of a program, and of a zip with nothing else in it.
pub(crate) fn of(program: &Path) -> anyhow::Result<(u64, u64)> {
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(&bytes)?;
    let packed = deflate.finish()?.len();
    Ok((bytes.len().try_into()?, u64::try_from(packed)? + ZIP_FRAME))
}
