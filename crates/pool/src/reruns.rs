//! Notes of jobs that Spot or the platform took away, for `sweep` to re-run.

use decisions::{Loss, LostJob};
use protocol::bell::EXPIRES;
use protocol::{Job, JobId, Repository, RunnerName};
use runtime::settings::{Settings, Variable};
use time::{Duration, OffsetDateTime};

use aws::SdkConfig;

use crate::item::{
    Item, get_instant, get_number, get_parsed, get_text, instant, key, number, text,
};
use crate::{Error, Pool};

/// The variable of the notes' table.
pub const RERUNS: Variable = Variable::optional(
    "RERUN_TABLE",
    "DynamoDB table of jobs to re-run after an interruption; the CDK app writes it where a runner has `rerunAfterInterruption`",
);

const PARTITION: &str = "reruns";
const REPOSITORY: &str = "repository";
const JOB: &str = "job";
const RUN: &str = "run";
const ATTEMPT: &str = "attempt";
const RUNNER: &str = "runner";
const INSTALLATION: &str = "installation";
const NOTED: &str = "noted";
/// When the task had stopped of a runner that said nothing of a job.
const SILENT: &str = "silent";
const TAKEN: &str = "taken";
const TAKEN_JOB: &str = "order";
const LOST: &str = "lost";

/// How long a note counts. GitHub ends a job of a self-hosted runner after five days.
pub const KEPT: Duration = Duration::days(7);

/// A job that was lost, with what is needed to find it at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerunNote {
    pub repository: Repository,
    pub run: u64,
    pub job: LostJob,
    /// The installation that served it, if known.
    pub installation: Option<u64>,
    pub noted_at: OffsetDateTime,
}

impl RerunNote {
    fn read(item: &Item) -> Option<Self> {
        Some(Self {
            repository: get_parsed(item, REPOSITORY)?,
            run: get_number(item, RUN)?,
            job: LostJob {
                id: JobId(get_number(item, JOB)?),
                runner: get_text(item, RUNNER)?.to_owned(),
                run_attempt: get_number(item, ATTEMPT)?,
                loss: read_loss(item),
            },
            installation: get_number(item, INSTALLATION),
            noted_at: get_instant(item, NOTED)?,
        })
    }

    /// GitHub compares names without case.
    fn sort_key(&self) -> String {
        let repository = self.repository.to_string().to_ascii_lowercase();
        format!("{repository}#{}", self.job.id)
    }
}

fn read_loss(item: &Item) -> Loss {
    get_instant(item, SILENT).map_or(Loss::InJob, Loss::Silent)
}

fn write_loss(item: &mut Item, loss: Loss) {
    if let Loss::Silent(since) = loss {
        item.insert(SILENT.to_owned(), instant(since));
    }
}

/// The partition of what a runner took, and of its loss.
fn taken_by(runner: &RunnerName) -> String {
    format!("taken#{runner}")
}

/// The notes of a deployment with a runner that opted in.
#[derive(Clone, Debug)]
pub struct Reruns(Pool);

impl Reruns {
    /// The notes of these settings; `None` where no runner opted in.
    pub fn from_settings(settings: &Settings, aws: &SdkConfig) -> Option<Self> {
        Some(Self(Pool::of(aws, settings.maybe(&RERUNS)?)))
    }

    /// Uses an existing table, such as a test's.
    pub const fn over(pool: Pool) -> Self {
        Self(pool)
    }

    /// Writes a note. Repeating it is harmless.
    pub async fn note(&self, note: &RerunNote) -> Result<(), Error> {
        let mut item = key(PARTITION, &note.sort_key());
        item.extend([
            (REPOSITORY.to_owned(), text(&note.repository)),
            (JOB.to_owned(), number(note.job.id.0)),
            (RUN.to_owned(), number(note.run)),
            (ATTEMPT.to_owned(), number(note.job.run_attempt.into())),
            (RUNNER.to_owned(), text(&note.job.runner)),
            (NOTED.to_owned(), instant(note.noted_at)),
            (EXPIRES.to_owned(), instant(note.noted_at + KEPT)),
        ]);
        if let Some(installation) = note.installation {
            item.insert(INSTALLATION.to_owned(), number(installation));
        }
        write_loss(&mut item, note.job.loss);
        self.0.put(item, PARTITION).await
    }

    /// Notes that a runner took this job and not its own. Repeating it is harmless. Read its loss
    /// afterwards: whoever notes it reads this afterwards, so that one of the two sees both.
    pub async fn note_taken(
        &self,
        runner: &RunnerName,
        job: &Job,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let partition = taken_by(runner);
        let Ok(order) = serde_json::to_string(job) else {
            return Ok(());
        };
        let mut item = key(&partition, TAKEN);
        item.insert(TAKEN_JOB.to_owned(), text(&order));
        item.insert(EXPIRES.to_owned(), instant(now + KEPT));
        self.0.put(item, &partition).await
    }

    /// The job that a runner took instead of its own, as far as noted.
    pub async fn taken(&self, runner: &RunnerName) -> Result<Option<Job>, Error> {
        let partition = taken_by(runner);
        let item = self.0.get(key(&partition, TAKEN), &partition).await?;
        let order = item.as_ref().and_then(|item| get_text(item, TAKEN_JOB));
        Ok(order.and_then(|order| serde_json::from_str(order).ok()))
    }

    /// Notes that a runner was taken away, maybe with a job that is not known yet. Repeating it is
    /// harmless.
    pub async fn note_loss(
        &self,
        runner: &RunnerName,
        loss: Loss,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let partition = taken_by(runner);
        let mut item = key(&partition, LOST);
        write_loss(&mut item, loss);
        item.insert(EXPIRES.to_owned(), instant(now + KEPT));
        self.0.put(item, &partition).await
    }

    /// How a runner was taken away, as far as noted.
    pub async fn loss(&self, runner: &RunnerName) -> Result<Option<Loss>, Error> {
        let partition = taken_by(runner);
        let item = self.0.get(key(&partition, LOST), &partition).await?;
        Ok(item.as_ref().map(read_loss))
    }

    /// All notes, as far as one call returns them: thousands.
    pub async fn all(&self) -> Result<Vec<RerunNote>, Error> {
        let items = self.0.partition(PARTITION).await?;
        Ok(items.iter().filter_map(RerunNote::read).collect())
    }

    /// Forgets a note.
    pub async fn forget(&self, note: &RerunNote) -> Result<(), Error> {
        let key = key(PARTITION, &note.sort_key());
        self.0.delete(key, PARTITION).await
    }
}
