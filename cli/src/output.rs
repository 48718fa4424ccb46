//! What is printed: text for people, or JSON.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::{Value, json};

use crate::cost::{Costs, Row};
use crate::doctor::Report;
use crate::finding::Mark;
use crate::jobs::Jobs;
use crate::why::{Evidence, Explanation, span};
use crate::{Deployment, Error, Exit};

/// Columns of a paragraph.
const WIDTH: usize = 100;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints a text as it is. Without a reader, or without room, the command has nothing more to do.
    #[expect(clippy::unused_self, reason = "all printing goes through here")]
    pub(crate) fn raw(self, text: &str) -> Result<(), Error> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        written.and_then(|()| stdout.flush()).map_err(Error::Output)
    }

    pub(crate) fn json(self, value: &Value) -> Result<(), Error> {
        self.raw(&format!("{value:#}\n"))
    }

    /// Says on stderr why the command ended; as JSON with `--json`.
    pub(crate) fn error(self, error: &Error) {
        let said = runtime::program::sentence(error);
        if self.json {
            self.refused(&said, error.exit());
        } else {
            tell(&format!("error: {}", printable(&said)));
        }
    }

    /// An error for programs.
    #[expect(clippy::unused_self, reason = "all printing goes through here")]
    pub(crate) fn refused(self, said: &str, exit: Exit) {
        let value = json!({ "error": said, "exitCode": exit.code() });
        tell(&value.to_string());
    }

    /// One thing that was done: a sentence, or its fields.
    pub(crate) fn said(self, value: &impl Serialize, sentence: &str) -> Result<(), Error> {
        if self.json {
            self.json(&json!(value))
        } else {
            self.raw(&wrapped("", sentence))
        }
    }

    /// Lines of a log; as JSON, one string a line.
    pub(crate) fn lines(self, lines: &[String]) -> Result<(), Error> {
        let mut text = String::new();
        for line in lines {
            let line = if self.json {
                json!(line).to_string()
            } else {
                printable(line)
            };
            text.push_str(&line);
            text.push('\n');
        }
        self.raw(&text)
    }

    /// The running executions. Each look of `--watch` takes the place of the one before on a terminal;
    /// as JSON, each is a line.
    pub(crate) fn jobs(self, jobs: &Jobs, watch: bool) -> Result<(), Error> {
        if self.json {
            let value = json!(jobs);
            return self.raw(&if watch {
                format!("{value}\n")
            } else {
                format!("{value:#}\n")
            });
        }
        if watch && std::io::stdout().is_terminal() {
            self.raw("\x1b[H\x1b[2J")?;
        }
        self.raw(&table(jobs))
    }

    /// Costs by repository, with their sum.
    pub(crate) fn costs(self, costs: &Costs) -> Result<(), Error> {
        if self.json {
            return self.json(&json!(costs));
        }
        let rows = &costs.repositories;
        if rows.is_empty() {
            return self.raw("The log of cleanup has no costs of that time.\n");
        }
        let names = rows.iter().map(|row| row.repository.chars().count());
        let width = names.max().unwrap_or_default().max("repository".len());
        let mut text = format!(
            "{:<width$}  {:>6}  {:>8}  {:>9}  {:>13}  {:>9}\n",
            "repository", "tasks", "minutes", "runners", "control plane", "total"
        );
        let mut line = |name: &str, row: &Row| {
            let (tasks, minutes) = (row.tasks, row.runner_minutes);
            let (runners, control, total) = (row.runners, row.control_plane, row.total());
            let _ = writeln!(
                text,
                "{name:<width$}  {tasks:>6}  {minutes:>8.1}  {runners:>9.4}  {control:>13.4}  {total:>9.4}"
            );
        };
        let mut sum = Row::default();
        for row in rows {
            line(&printable(&row.repository), row);
            sum.tasks += row.tasks;
            sum.runner_minutes += row.runner_minutes;
            sum.runners += row.runners;
            sum.control_plane += row.control_plane;
        }
        line("all", &sum);
        text.push_str("US dollars at list price\n");
        if costs.cut {
            text.push_str("The log is longer than what was read: give a shorter --since\n");
        }
        self.raw(&text)
    }

    /// Findings by part, those to be mended with what mends them.
    pub(crate) fn examined(self, deployment: &Deployment, report: &Report) -> Result<(), Error> {
        let stack = &deployment.stack;
        if self.json {
            return self.json(&json!({
                "stack": stack, "well": report.well(), "parts": report.parts,
                "deployment": {
                    "prefix": deployment.prefix, "id": deployment.id.to_string(),
                    "version": deployment.version, "machine": deployment.machine.to_string(),
                    "cluster": deployment.cluster, "webhookUrl": deployment.webhook_url,
                },
            }));
        }
        let mut text = String::new();
        for part in &report.parts {
            let _ = writeln!(text, "{}", part.name);
            for line in part
                .findings
                .iter()
                .flat_map(crate::finding::Finding::lines)
            {
                let _ = writeln!(text, "  {}", printable(&line));
            }
        }
        let bad = report
            .findings()
            .filter(|one| one.mark == Mark::Bad)
            .count();
        let _ = match bad {
            0 => writeln!(text, "{stack} has nothing to mend."),
            1 => writeln!(text, "{stack} has 1 thing to mend."),
            bad => writeln!(text, "{stack} has {bad} things to mend."),
        };
        self.raw(&text)
    }

    pub(crate) fn explanation(
        self,
        evidence: &Evidence,
        explanation: &Explanation,
    ) -> Result<(), Error> {
        if self.json {
            self.json(&json!({ "explanation": explanation, "evidence": evidence }))
        } else {
            self.raw(&text(explanation))
        }
    }
}

/// Says something on standard error. `eprintln!` would panic where nobody reads it.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The running executions as a table.
fn table(jobs: &Jobs) -> String {
    if jobs.jobs.is_empty() && jobs.left_out == 0 {
        return "No execution is running.\n".to_owned();
    }
    let names = jobs.jobs.iter().map(|row| row.execution.to_string().len());
    let width = names.max().unwrap_or_default().max("execution".len());
    let mut text = format!(
        "{:<width$}  {:<8}  {:<10}  {:>7}  reason\n",
        "execution", "phase", "since", "attempt"
    );
    for row in &jobs.jobs {
        let age = span(time::Duration::seconds(row.age_seconds));
        let _ = writeln!(
            text,
            "{:<width$}  {:<8}  {age:<10}  {:>7}  {}",
            row.execution.to_string(),
            row.phase.name(),
            row.attempt,
            printable(&row.reason)
        );
    }
    if jobs.left_out > 0 {
        let _ = writeln!(text, "and {} older ones (--limit)", jobs.left_out);
    }
    text
}

/// An explanation as a paragraph, what follows, and the evidence.
fn text(explanation: &Explanation) -> String {
    let mut text = wrapped("", &explanation.summary);
    text.push_str(&wrapped("Next:    ", &explanation.next));
    if let Some(change) = &explanation.change {
        text.push_str(&wrapped("Change:  ", change));
    }
    text.push_str("\nEvidence\n");
    for fact in &explanation.facts {
        let line = printable(&fact.said);
        let _ = writeln!(text, "  {:<11}{line}", fact.what);
    }
    text
}

/// A paragraph in lines, below a heading that hangs.
fn wrapped(heading: &str, paragraph: &str) -> String {
    let mut text = String::from(heading);
    let mut column = heading.len();
    for word in printable(paragraph).split(' ') {
        let length = word.chars().count();
        if column > heading.len() && column + length > WIDTH {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(heading.len()));
            column = heading.len();
        }
        text.push_str(word);
        text.push(' ');
        column += length + 1;
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Text of others without what steers a terminal: a job's author writes its name and its log.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::why::{Fact, Situation};

    #[test]
    fn an_explanation_is_a_paragraph_and_its_evidence() {
        let explanation = Explanation {
            situation: Situation::Pausing,
            summary: "It waits. ".repeat(20).trim().to_owned(),
            next: "Attempt 2 starts in 90 s.".to_owned(),
            change: None,
            reasons: Vec::new(),
            facts: vec![Fact {
                what: "GitHub",
                said: "queued\u{1b}[31m".to_owned(),
            }],
        };
        let text = text(&explanation);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(
            text.contains("\nNext:    Attempt 2 starts in 90 s.\n"),
            "{text}"
        );
        assert!(text.ends_with("  GitHub     queued [31m\n"), "{text}");
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_word(words in prop::collection::vec("[a-z]{1,30}", 1..40)) {
            let text = wrapped("Next: ", &words.join(" "));
            let kept: Vec<_> = text.split_whitespace().skip(1).collect();
            prop_assert_eq!(kept, words);
        }

        #[test]
        fn nothing_printed_steers_a_terminal(text in "\\PC{0,20}\\x1b\\[[0-9]m\\PC{0,20}") {
            prop_assert!(!printable(&text).chars().any(char::is_control));
        }
    }
}
