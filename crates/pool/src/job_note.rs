//! Notes about jobs that ended on their own runners, as GitHub's `completed` webhooks tell.
//!
//! `verify` writes them, and `cleanup` reads one instead of asking GitHub whether the job left the queue
//! ([`on_note`](decisions::on_note)). A note may be missing, and the table may be lost.

use decisions::JobStatus;
use protocol::bell::EXPIRES;
use protocol::{JobId, Repository, RunnerName};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::item::{Item, get_parsed, get_text, instant, key, text};
use crate::{Error, Pool};

const SORT: &str = "note";
const RUNNER: &str = "runner";
const CONCLUSION: &str = "conclusion";
const STARTED_AT: &str = "startedAt";
const COMPLETED_AT: &str = "completedAt";

/// How long the table keeps a note. `cleanup` reads it within minutes of the job's end, or days later
/// after an outage of Step Functions or Lambda.
pub const KEPT: Duration = Duration::days(3);

/// A job's note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobNote {
    /// The runner that the job ended on.
    pub runner: RunnerName,
    /// When the runner took it.
    pub started_at: Option<OffsetDateTime>,
    /// `success`, `failure` and so on.
    pub conclusion: Option<String>,
    pub completed_at: Option<OffsetDateTime>,
}

impl JobNote {
    fn read(item: &Item) -> Option<Self> {
        let time = |name| OffsetDateTime::parse(get_text(item, name)?, &Rfc3339).ok();
        Some(Self {
            runner: get_parsed(item, RUNNER)?,
            started_at: time(STARTED_AT),
            conclusion: get_text(item, CONCLUSION).map(str::to_owned),
            completed_at: time(COMPLETED_AT),
        })
    }

    /// The job's status.
    pub fn over(self) -> JobStatus {
        JobStatus::Completed {
            conclusion: self.conclusion,
            runner: Some(self.runner.to_string()),
            started_at: self.started_at,
            completed_at: self.completed_at,
        }
    }
}

/// The partition of a job's note. GitHub compares names without case.
fn partition(repository: &Repository, job: JobId) -> String {
    let repository = repository.to_string().to_ascii_lowercase();
    format!("job#{repository}#{job}")
}

impl Pool {
    /// Writes a job's note.
    pub async fn note_completed(
        &self,
        repository: &Repository,
        job: JobId,
        note: &JobNote,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let partition = partition(repository, job);
        let time = |at: Option<OffsetDateTime>| at?.format(&Rfc3339).ok();
        let known = [
            (RUNNER, Some(note.runner.to_string())),
            (STARTED_AT, time(note.started_at)),
            (CONCLUSION, note.conclusion.clone()),
            (COMPLETED_AT, time(note.completed_at)),
        ];
        let mut item = key(&partition, SORT);
        item.insert(EXPIRES.to_owned(), instant(now + KEPT));
        item.extend(known.into_iter().filter_map(|(name, value)| {
            let value = value?;
            Some((name.to_owned(), text(&value)))
        }));
        self.put(item, &partition).await
    }

    /// Reads a job's note. Not consistently, which costs half: an old answer only means that GitHub is
    /// asked.
    pub async fn job_note(
        &self,
        repository: &Repository,
        job: JobId,
    ) -> Result<Option<JobNote>, Error> {
        let partition = partition(repository, job);
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(&partition, SORT)))
            .send()
            .await
            .map_err(|error| Error::of("dynamodb:GetItem", &partition, &error))?;
        Ok(answer.item.as_ref().and_then(JobNote::read))
    }
}
