//! The list of checksums, as `sha256sum --check` reads it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest as _, Sha256};

const NAME: &str = "SHA256SUMS";

/// Writes the checksums of a directory's files beside them; directories are not part of a release.
pub fn checksums(release: &Path) -> anyhow::Result<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(release).with_context(|| format!("reading {}", release.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != NAME {
            files.push(entry.path());
        }
    }
    files.sort();
    let mut list = String::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        writeln!(list, "{}  {name}", sha256(&file)?)?;
    }
    let to = release.join(NAME);
    fs::write(&to, list).with_context(|| format!("writing {}", to.display()))?;
    Ok(to)
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_as_sha256sum_expects_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("b"), "abc").unwrap();
        fs::write(directory.path().join("a"), "").unwrap();
        fs::create_dir(directory.path().join("package")).unwrap();
        let list = fs::read_to_string(checksums(directory.path()).unwrap()).unwrap();
        // FIPS 180-4's example, and the hash of nothing.
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n\
                        ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n";
        assert_eq!(list, expected);
        // A second time, the list itself is not listed.
        let again = fs::read_to_string(checksums(directory.path()).unwrap()).unwrap();
        assert_eq!(again, expected);
    }
}
