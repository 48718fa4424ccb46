//! Shows progress and durations.
//!
//! A terminal redraws the running steps in place. Otherwise each step prints a line at its start,
//! at intervals, and at its end. Everything goes to stderr, so that stdout has only results.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Redraw interval of a terminal.
const FRAME: Duration = Duration::from_millis(120);
/// Interval of reports without a terminal.
const REMINDER: Duration = Duration::from_secs(20);
const SPINNER: [char; 8] = ['⣷', '⣯', '⣟', '⡿', '⢿', '⣻', '⣽', '⣾'];
/// Assumed width of an unknown terminal.
const COLUMNS: usize = 80;

/// The running steps. Clones share one screen.
#[derive(Clone, Debug)]
pub struct Progress {
    screen: Arc<Mutex<Screen>>,
}

#[derive(Debug, Default)]
struct Screen {
    hidden: bool,
    terminal: bool,
    running: Vec<Running>,
    next: usize,
    /// Lines that the next drawing replaces.
    drawn: usize,
    frame: usize,
}

#[derive(Debug)]
struct Running {
    id: usize,
    label: String,
    note: String,
    since: Instant,
    reminded: Instant,
}

/// A running step. If it is dropped without a result, it failed.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    id: usize,
    label: String,
    since: Instant,
    over: bool,
}

impl Progress {
    pub fn new() -> Self {
        let screen = Arc::new(Mutex::new(Screen {
            terminal: std::io::stderr().is_terminal(),
            ..Screen::default()
        }));
        let weak = Arc::downgrade(&screen);
        std::thread::spawn(move || {
            while let Some(screen) = weak.upgrade() {
                lock(&screen).tick();
                drop(screen);
                std::thread::sleep(FRAME);
            }
        });
        Self { screen }
    }

    /// Shows nothing, for work beside programs that write to the screen themselves.
    pub fn hidden() -> Self {
        let screen = Screen {
            hidden: true,
            ..Screen::default()
        };
        Self {
            screen: Arc::new(Mutex::new(screen)),
        }
    }

    pub fn step(&self, label: impl Into<String>) -> Step {
        let label = label.into();
        let now = Instant::now();
        let mut screen = lock(&self.screen);
        screen.next += 1;
        let id = screen.next;
        if !screen.terminal && !screen.hidden {
            eprintln!("  … {label}");
        }
        screen.running.push(Running {
            id,
            label: label.clone(),
            note: String::new(),
            since: now,
            reminded: now,
        });
        Step {
            progress: self.clone(),
            id,
            label,
            since: now,
            over: false,
        }
    }

    /// Prints a permanent line.
    pub fn say(&self, line: &str) {
        lock(&self.screen).print(line);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Step {
    /// Sets the step's note.
    pub fn note(&self, note: &str) {
        if let Some(running) = lock(&self.progress.screen)
            .running
            .iter_mut()
            .find(|running| running.id == self.id)
        {
            note.trim().clone_into(&mut running.note);
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// The step succeeded; shows `detail`.
    pub fn done(mut self, detail: &str) {
        self.close('✔', detail);
    }

    /// The step failed.
    pub fn failed(mut self, detail: &str) {
        self.close('✘', detail);
    }

    fn close(&mut self, mark: char, detail: &str) {
        self.over = true;
        let time = seconds(self.since.elapsed());
        let gap = if detail.is_empty() { "" } else { "  " };
        let line = format!("  {mark} {} ({time}){gap}{detail}", self.label);
        let mut screen = lock(&self.progress.screen);
        screen.running.retain(|running| running.id != self.id);
        screen.print(&line);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.over {
            self.close('✘', "");
        }
    }
}

impl Screen {
    fn print(&mut self, line: &str) {
        if self.hidden {
            return;
        }
        self.erase();
        eprintln!("{line}");
        self.draw();
    }

    fn tick(&mut self) {
        if self.terminal {
            self.frame = (self.frame + 1) % SPINNER.len();
            self.erase();
            self.draw();
            return;
        }
        for running in &mut self.running {
            if running.reminded.elapsed() >= REMINDER {
                running.reminded = Instant::now();
                eprintln!("  … {}", describe(running));
            }
        }
    }

    fn erase(&mut self) {
        if self.terminal && self.drawn > 0 {
            eprint!("\x1b[{}A\x1b[0J", self.drawn);
        }
        self.drawn = 0;
    }

    fn draw(&mut self) {
        if !self.terminal {
            return;
        }
        let spinner = SPINNER[self.frame];
        for running in &self.running {
            let line: String = describe(running).chars().take(columns() - 5).collect();
            eprintln!("  {spinner} {line}");
        }
        self.drawn = self.running.len();
        // A failed write to the screen has no effect.
        let _ = std::io::stderr().flush();
    }
}

fn describe(running: &Running) -> String {
    let time = seconds(running.since.elapsed());
    let gap = if running.note.is_empty() { "" } else { "  " };
    format!("{} ({time}){gap}{}", running.label, running.note)
}

fn columns() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .filter(|columns| *columns > 20)
        .unwrap_or(COLUMNS)
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A duration in readable form: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    match whole {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..100 => format!("{whole} s"),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_person_says_them() {
        assert_eq!(seconds(Duration::from_millis(440)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(12)), "12 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
