//! Check runs: what an App shows beside a commit.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::state::refusal::Refusal;

/// What GitHub takes of an output's summary.
const SUMMARY_LIMIT: usize = 65_535;

/// A check run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRun {
    /// Its number.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub head_sha: String,
    /// What it is listed under.
    pub name: String,
    /// Its App's own id of it.
    pub external_id: String,
    /// Where *Details* leads.
    pub details_url: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended; none while it has not.
    pub conclusion: Option<String>,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
}

/// What a call gives of a check run.
#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    pub(crate) name: Option<String>,
    pub(crate) head_sha: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) conclusion: Option<String>,
    pub(crate) output: Option<Output>,
}

/// The text of a check run.
#[derive(Debug, Deserialize)]
pub(crate) struct Output {
    pub(crate) title: Option<String>,
    pub(crate) summary: String,
}

impl CheckRun {
    /// Takes over what was given; the rest stays.
    pub(crate) fn change(&mut self, given: Given, now: OffsetDateTime) -> Result<(), Refusal> {
        let set = |field: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        if given.status.as_deref() == Some("completed") && given.conclusion.is_none() {
            return Err(Refusal::invalid(
                "Invalid request.\n\n\"conclusion\" wasn't supplied.",
            ));
        }
        set(&mut self.name, given.name);
        set(&mut self.external_id, given.external_id);
        set(&mut self.details_url, given.details_url);
        set(&mut self.status, given.status);
        if given.conclusion.is_some() {
            self.conclusion = given.conclusion;
            "completed".clone_into(&mut self.status);
            self.completed_at = Some(now);
        }
        if let Some(output) = given.output {
            if output.summary.chars().count() > SUMMARY_LIMIT {
                return Err(Refusal::invalid(
                    "Invalid request.\n\nOnly 65535 characters are allowed; summary has more.",
                ));
            }
            set(&mut self.title, output.title);
            self.summary = output.summary;
        }
        Ok(())
    }
}
