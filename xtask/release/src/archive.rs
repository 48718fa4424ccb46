//! The zips of functions and of the command line.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tooling::{Architecture, Checkout};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::VERSION;

/// Readable by all, and may be run.
const PROGRAM: u32 = 0o755;
/// Readable by all.
const TEXT: u32 = 0o644;
/// Best compression: what is smaller comes up sooner.
const LEVEL: i64 = 9;

/// The name of a function's zip, by which the template looks for it.
pub fn function_zip(name: &str, architecture: Architecture) -> String {
    format!("{name}-{VERSION}-{architecture}.zip")
}

/// Zips each function's program, `NAME/bootstrap` of a directory.
pub fn functions(
    checkout: &Checkout,
    programs: &Path,
    architecture: Architecture,
    release: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    let zipped = checkout.functions()?.into_iter().map(|name| {
        let program = programs.join(&name).join("bootstrap");
        let to = release.join(function_zip(&name, architecture));
        archive(&to, &[("bootstrap", &program, PROGRAM)])?;
        Ok(to)
    });
    zipped.collect()
}

/// Copies the agent, which the runner's image contains.
pub fn agent(
    programs: &Path,
    architecture: Architecture,
    release: &Path,
) -> anyhow::Result<PathBuf> {
    let from = programs.join("agent/bootstrap");
    let to = release.join(format!("agent-{VERSION}-{architecture}"));
    fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    Ok(to)
}

/// The largest command line, in bytes: it is downloaded by people.
const COMMAND_LINE_LIMIT: u64 = 12_000_000;

/// Zips the command line for a target, with the licence.
pub fn command_line(
    checkout: &Checkout,
    program: &Path,
    target: &str,
    release: &Path,
) -> anyhow::Result<PathBuf> {
    let to = release.join(format!("fargate-runners-{VERSION}-{target}.zip"));
    let licence = checkout.path("LICENSE");
    let size = fs::metadata(program).with_context(|| format!("reading {}", program.display()))?;
    ensure!(
        size.len() <= COMMAND_LINE_LIMIT,
        "the command line for {target} takes {} bytes, of {COMMAND_LINE_LIMIT}: was it built with the release profile?",
        size.len()
    );
    archive(
        &to,
        &[
            ("fargate-runners", program, PROGRAM),
            ("LICENSE", &licence, TEXT),
        ],
    )?;
    Ok(to)
}

fn archive(to: &Path, files: &[(&str, &Path, u32)]) -> anyhow::Result<()> {
    let failed = || format!("writing {}", to.display());
    let mut zip = ZipWriter::new(File::create(to).with_context(failed)?);
    for (name, from, mode) in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(LEVEL))
            // A zip's first moment, in place of the file's own.
            .last_modified_time(DateTime::default())
            .unix_permissions(*mode);
        let mut file = File::open(from).with_context(|| format!("reading {}", from.display()))?;
        ensure!(file.metadata()?.len() > 0, "{} is empty", from.display());
        zip.start_file(*name, options).with_context(failed)?;
        io::copy(&mut file, &mut zip).with_context(failed)?;
    }
    zip.finish().with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_program_makes_the_same_zip_and_may_be_run_from_it() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let [one, two] = ["one.zip", "two.zip"].map(|name| directory.path().join(name));
        archive(&one, &[("bootstrap", &program, PROGRAM)]).unwrap();
        // Later, and by its owner alone readable.
        let later = std::time::SystemTime::now() + std::time::Duration::from_hours(1);
        File::open(&program).unwrap().set_modified(later).unwrap();
        archive(&two, &[("bootstrap", &program, PROGRAM)]).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());

        let mut zip = zip::ZipArchive::new(File::open(&one).unwrap()).unwrap();
        let bootstrap = zip.by_name("bootstrap").unwrap();
        assert_eq!(bootstrap.unix_mode().unwrap() & 0o777, PROGRAM);
    }

    #[test]
    fn a_command_line_that_is_too_large_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        let file = File::create(&program).unwrap();
        let pack = || command_line(&Checkout::here(), &program, "any-target", directory.path());
        for (size, fits) in [(COMMAND_LINE_LIMIT, true), (COMMAND_LINE_LIMIT + 1, false)] {
            file.set_len(size).unwrap();
            let packed = pack();
            assert_eq!(packed.is_ok(), fits, "{packed:?}");
            if let Err(error) = packed {
                assert!(error.to_string().contains("any-target"), "{error}");
            }
        }
    }

    #[test]
    fn an_empty_or_missing_program_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        let zip = directory.path().join("a.zip");
        for content in [None, Some("")] {
            if let Some(content) = content {
                fs::write(&program, content).unwrap();
            }
            let error = archive(&zip, &[("bootstrap", &program, PROGRAM)]).unwrap_err();
            assert!(format!("{error:#}").contains("program"), "{error:#}");
        }
    }
}
