//! A process of the runner: start, read, and end it with its children.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::unistd::Pid;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::event::Event;
use crate::log::Log;
use crate::process;
use crate::verdict::End;

/// Longest line. No line of the listener comes near it. Longer lines are dropped: half a line could
/// hold half a secret, which the mask would miss.
const LONGEST_LINE: usize = 64 * 1024;
/// Wait for the remaining output after the process has ended. It is already in the pipe; only a
/// surviving child keeps the pipe open.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// An event of the process.
pub(crate) enum Next {
    Said(Event),
    Ended(End),
}

/// A running process.
pub(crate) struct Listener {
    child: Child,
    pid: Pid,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Listener {
    /// Starts the process in its own process group and copies its output to the log.
    pub(crate) fn start(command: &mut Command, log: &Log) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let pid = Pid::from_raw(id.ok_or_else(|| io::Error::other("the process has no id"))?);
        let (sender, events) = mpsc::unbounded_channel();
        if let Some(output) = child.stdout.take() {
            tokio::spawn(follow(output, log.clone(), sender.clone()));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(follow(output, log.clone(), sender));
        }
        Ok(Self { child, pid, events })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// The next event. Cancel safe.
    pub(crate) async fn next(&mut self) -> Next {
        tokio::select! {
            // Its output comes before its end.
            biased;
            Some(event) = self.events.recv() => Next::Said(event),
            status = self.child.wait() => Next::Ended(status.map_or(End::Killed, end)),
        }
    }

    /// The unread output of a process that has ended.
    pub(crate) async fn last_words(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let _ = tokio::time::timeout(DRAIN_LIMIT, async {
            while let Some(event) = self.events.recv().await {
                events.push(event);
            }
        })
        .await;
        events
    }

    /// Asks the process to end (SIGINT).
    pub(crate) fn interrupt(&self) {
        process::interrupt(self.pid);
    }

    /// Kills the process and its children.
    pub(crate) fn kill(&self) -> bool {
        process::kill_group(self.pid)
    }
}

fn end(status: ExitStatus) -> End {
    status.code().map_or(End::Killed, End::Code)
}

/// Copies lines to the log until no process can write any more.
async fn follow(output: impl AsyncRead + Unpin, log: Log, events: mpsc::UnboundedSender<Event>) {
    let mut output = BufReader::new(output);
    while let Ok(Some(line)) = next_line(&mut output).await {
        log.line(&line);
        if let Some(event) = Event::read(&line) {
            // Nothing reads the events after the listener has ended; the log still needs the lines.
            let _ = events.send(event);
        }
    }
}

async fn next_line(output: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut left_out = 0;
    loop {
        let chunk = output.fill_buf().await?;
        if chunk.is_empty() {
            if line.is_empty() && left_out == 0 {
                return Ok(None);
            }
            break;
        }
        let (part, used) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&chunk[..end], end + 1),
            None => (chunk, chunk.len()),
        };
        if left_out > 0 || line.len() + part.len() > LONGEST_LINE {
            left_out += line.len() + part.len();
            line.clear();
        } else {
            line.extend_from_slice(part);
        }
        let ended = used > part.len();
        output.consume(used);
        if ended {
            break;
        }
    }
    Ok(Some(match left_out {
        0 => String::from_utf8_lossy(&line).into_owned(),
        bytes => format!("[dropped a line of {bytes} bytes]"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<String> {
        let mut output = BufReader::with_capacity(7, text);
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut output).await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_whole_whatever_the_pipe_makes_of_them() {
        assert_eq!(
            lines("one\n\nthree, no end — √".as_bytes()).await,
            ["one", "", "three, no end — √"]
        );
        assert_eq!(lines(b"bad \xff byte\n").await, ["bad \u{fffd} byte"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_left_out_whole() {
        let text = [b"a\n".as_slice(), &vec![b'x'; LONGEST_LINE + 1], b"\nb\n"].concat();
        assert_eq!(
            lines(&text).await,
            ["a", "[dropped a line of 65537 bytes]", "b"]
        );
    }
}
