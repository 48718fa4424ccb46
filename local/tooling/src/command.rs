//! Runs a program to its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};

use anyhow::{Context, bail};

use crate::Step;

/// Number of lines of a failed program's output to show: enough for a compiler error.
const SHOWN: usize = 40;

enum Line {
    Out(String),
    Err(String),
}

/// Runs a program to its end and returns its stdout. Shows its last output line as the step's note.
/// A failure has the end of its output.
pub fn run(step: &Step, command: &mut Command) -> anyhow::Result<String> {
    let name = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))?;
    let (send, lines) = mpsc::channel();
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| read(pipe, send.clone(), Line::Out)),
        child.stderr.take().map(|pipe| read(pipe, send, Line::Err)),
    ];
    let mut out = String::new();
    let mut all = Vec::new();
    for line in lines {
        let text = match &line {
            Line::Out(text) | Line::Err(text) => text.clone(),
        };
        step.note(&text);
        if let Line::Out(text) = line {
            out.push_str(&text);
            out.push('\n');
        }
        all.push(text);
    }
    for reader in readers.into_iter().flatten() {
        // A reader only returns lines.
        let _ = reader.join();
    }
    let status = child
        .wait()
        .with_context(|| format!("waiting for `{name}`"))?;
    if !status.success() {
        let end = all[all.len().saturating_sub(SHOWN)..].join("\n");
        bail!("`{name}` failed ({status}):\n{end}");
    }
    Ok(out)
}

fn read(
    pipe: impl Read + Send + 'static,
    lines: Sender<Line>,
    kind: fn(String) -> Line,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if lines.send(kind(line.trim_end().to_owned())).is_err() {
                return;
            }
        }
    })
}

/// A command as typed, without its program's path.
pub fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;

    #[test]
    fn what_a_failed_program_said_is_in_the_error() {
        let step = Progress::new().step("test");
        let error = run(
            &step,
            Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]),
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("no such thing"), "{error}");
    }

    #[test]
    fn what_a_program_wrote_to_stdout_is_returned_without_stderr() {
        let step = Progress::new().step("test");
        let out = run(
            &step,
            Command::new("sh").args(["-c", "echo a; echo b >&2; echo c"]),
        );
        assert_eq!(out.unwrap(), "a\nc\n");
    }
}
