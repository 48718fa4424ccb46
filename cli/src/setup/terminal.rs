//! How a command talks to a person while it runs.

use std::future::Future;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::sync::oneshot;

/// Somebody who watches, and may be asked.
pub trait Terminal: Sync {
    /// Prints a line.
    fn say(&self, line: &str);
    /// Asks for something that is no secret. Nothing when nobody is there to answer.
    fn ask(&self, question: &str) -> impl Future<Output = Option<String>> + Send;
    /// Opens an address in the person's browser. Whether one was found.
    fn browse(&self, address: &str) -> bool;
    /// Lets time pass.
    fn wait(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// The process's own terminal.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Whether standard output is for programs; then people are told on standard error.
    pub json: bool,
    /// Whether a browser may be opened.
    pub browser: bool,
}

impl Terminal for Console {
    fn say(&self, line: &str) {
        let line = crate::output::printable(line);
        if self.json {
            crate::output::tell(&line);
        } else {
            // A reader that went away is no error.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    async fn ask(&self, question: &str) -> Option<String> {
        if std::io::stdin().is_terminal() {
            let mut stderr = std::io::stderr();
            let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
        }
        let (sender, line) = oneshot::channel();
        // Not tokio's: a read of the terminal cannot be cancelled, and must not hold the process up.
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_line(&mut text);
            let text = text.trim().to_owned();
            let _ = sender.send(read.ok().filter(|_| !text.is_empty()).map(|_| text));
        });
        line.await.ok().flatten()
    }

    fn browse(&self, address: &str) -> bool {
        self.browser && open::that_detached(address).is_ok()
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
