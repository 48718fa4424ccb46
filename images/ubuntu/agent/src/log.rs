//! Writes the container's log: the agent's messages as JSON lines, and the listener's lines
//! unchanged. Both pass the [`Mask`].

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use runtime::program;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::bell::Ring;
use crate::config::Speaker;
use crate::failure::Failure;
use crate::mask::Mask;

/// Writes to standard output. Clones share one mask.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    speaker: Speaker,
    /// Of a warm task that has answered its bell.
    rung: OnceLock<Speaker>,
    mask: OnceLock<Mask>,
}

impl Log {
    pub(crate) fn new(speaker: Speaker) -> Self {
        Self(Arc::new(Shared {
            speaker,
            rung: OnceLock::new(),
            mask: OnceLock::new(),
        }))
    }

    /// Names the runner and the execution of a ring from now on. A task answers one ring.
    pub(crate) fn name(&self, ring: &Ring) {
        let _ = self.0.rung.set(Speaker {
            runner: Some(ring.runner.to_string()),
            execution: Some(ring.execution.to_string()),
            ticket: self.0.speaker.ticket.clone(),
        });
    }

    /// Masks the registration from now on. There is one registration, so one mask.
    pub(crate) fn hide(&self, mask: Mask) {
        let _ = self.0.mask.set(mask);
    }

    pub(crate) fn info(&self, message: &str, fields: Value) {
        self.message("INFO", message, fields);
    }

    pub(crate) fn error(&self, message: &str, fields: Value) {
        self.message("ERROR", message, fields);
    }

    /// Prints to stderr why no listener ran.
    pub(crate) fn report(&self, failure: &Failure) {
        let line = format!("error: {}", program::sentence(failure));
        let _ = writeln!(std::io::stderr().lock(), "{}", self.masked(&line));
    }

    /// Copies a line.
    pub(crate) fn line(&self, line: &str) {
        // A closed log must not end a job.
        let _ = writeln!(std::io::stdout().lock(), "{}", self.masked(line));
    }

    fn masked<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match self.0.mask.get() {
            Some(mask) => mask.apply(line),
            None => line.into(),
        }
    }

    fn message(&self, level: &str, message: &str, fields: Value) {
        let fields = match fields {
            Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
            _ => Map::new(),
        };
        let speaker = self.0.rung.get().unwrap_or(&self.0.speaker);
        // Text and numbers always serialize.
        if let Ok(entry) = serde_json::to_string(&Entry {
            level,
            message,
            ticket: speaker.ticket.as_deref(),
            runner: speaker.runner.as_deref(),
            execution: speaker.execution.as_deref(),
            fields,
        }) {
            self.line(&entry);
        }
    }
}

/// A message; its fields follow in reading order.
#[derive(Serialize)]
struct Entry<'a> {
    level: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<&'a str>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}
