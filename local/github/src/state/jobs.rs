//! Workflow jobs and what may happen to them.

use std::collections::BTreeMap;
use std::time::Instant;

use protocol::LabelSet;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::clock::stamp;
use crate::control::Rejected;
use crate::state::directory::{OwnerType, Repository};
use crate::state::world::World;

/// GitHub keeps no more than this of a job's output here.
const OUTPUT_LIMIT: usize = 1 << 20;
/// No runner has this number: a job that is leased to it is lost.
const NOBODY: u64 = 0;

/// What a job is doing ([source](https://docs.github.com/webhooks/webhook-events-and-payloads#workflow_job)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waits for a runner.
    #[default]
    Queued,
    /// Waits for an approval; no runner is wanted yet.
    Waiting,
    /// A runner has taken it.
    InProgress,
    /// It has a conclusion.
    Completed,
}

impl JobStatus {
    /// The word in answers and webhooks.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }
}

/// Which webhook tells about a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The App's: its payload names the installation.
    #[default]
    App,
    /// One that was set on the repository.
    Repository,
    /// One that was set on the organization.
    Organization,
    /// The App's and the repository's: each event arrives twice, under different ids.
    AppAndRepository,
}

/// A job to be queued. Only `repository` and `labels` have to be given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewJob {
    /// `owner/name`; an unknown one is created, with the App installed.
    pub repository: String,
    /// What the job's `runs-on` asks for; nothing where it names a group alone.
    pub labels: Vec<String>,
    /// The runner group that `runs-on` names: only its runners take the job. No answer and no
    /// webhook tells of it.
    pub group: Option<String>,
    /// The shell script that the job is; nothing, and so a success, if empty.
    pub run: String,
    /// The job's name; `build` if empty.
    pub name: String,
    /// The workflow's name; `CI` if empty.
    pub workflow: String,
    /// Whether the repository is private; it is if not given and not known otherwise.
    pub private: Option<bool>,
    /// Who owns the repository, if it is created.
    pub owner_type: OwnerType,
    /// Which webhook tells about it.
    pub via: Via,
    /// `queued`, or `waiting` for an approval.
    pub status: JobStatus,
    /// Further variables of the script's environment.
    pub env: BTreeMap<String, String>,
    /// When it was queued, if not now.
    #[serde(with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// The one runner that may take it: this is how a theft is arranged.
    pub runner: Option<String>,
    /// Whether GitHub forgets to send the webhook.
    pub unannounced: bool,
    /// The run it belongs to, for a second job of it; a new one if not given.
    pub run_id: Option<u64>,
}

/// A workflow job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// The number of its run.
    pub run_id: u64,
    /// 1, and one more for each time the run was started again.
    pub run_attempt: u64,
    /// Its name.
    pub name: String,
    /// Its workflow's name.
    pub workflow: String,
    /// `owner/name`.
    pub repository: String,
    /// As they were given.
    pub labels: Vec<String>,
    /// The script.
    pub run: String,
    /// Further variables of its environment.
    pub env: BTreeMap<String, String>,
    /// Which webhook tells about it.
    pub via: Via,
    /// What it is doing.
    pub status: JobStatus,
    /// `success`, `failure` or `cancelled`, once it is completed.
    pub conclusion: Option<String>,
    /// The runner that took it.
    pub runner_id: Option<u64>,
    /// That runner's name.
    pub runner: Option<String>,
    /// That runner's group.
    pub runner_group_id: Option<u64>,
    /// That group's name.
    pub runner_group: Option<String>,
    /// The runner that GitHub has chosen for it, until that one takes it.
    pub leased_to: Option<u64>,
    /// What its script has written.
    pub output: String,
    /// How many runners began it. More than one is a fault of GitHub's.
    pub started: u32,
    /// When it was queued.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When a runner took it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
}

impl Job {
    /// Whether one of GitHub's own runners does it, as any job does that asks for `ubuntu-latest`.
    pub(crate) fn is_hosted(&self) -> bool {
        let own = |label: &String| {
            let label = label.to_lowercase();
            ["ubuntu-", "windows-", "macos-"]
                .iter()
                .any(|system| label.starts_with(system))
        };
        self.labels.len() == 1 && self.labels.iter().all(own)
    }

    pub(crate) fn label_set(&self) -> LabelSet {
        LabelSet::new(&self.labels)
    }
}

/// A job and what only GitHub knows of it.
#[derive(Debug)]
pub(crate) struct JobEntry {
    pub(crate) job: Job,
    /// Its cancellation waits for the runner.
    pub(crate) cancelled: bool,
    /// The only runner that may take it.
    pub(crate) pinned: Option<String>,
    /// The only group whose runners may take it.
    pub(crate) group: Option<String>,
    /// The last webhook about it, which the next one waits for.
    pub(crate) last_delivery: Option<oneshot::Receiver<()>>,
}

impl World {
    /// Queues a job and tells about it.
    pub(crate) fn create_job(&mut self, new: NewJob) -> Result<Job, Rejected> {
        if !matches!(new.status, JobStatus::Queued | JobStatus::Waiting) {
            return Err(Rejected::invalid("a new job is `queued` or `waiting`"));
        }
        let known = self.directory.repository(&new.repository);
        let private = new
            .private
            .or(known.map(|repository| repository.private))
            .unwrap_or(true);
        self.directory
            .add_repository(&new.repository, new.owner_type, private)
            .map_err(Rejected::invalid)?;
        let repository = self
            .directory
            .repository(&new.repository)
            .map_or(new.repository, Repository::full_name);
        let text = |given: String, otherwise: &str| {
            if given.is_empty() {
                otherwise.to_owned()
            } else {
                given
            }
        };
        let id = self.id();
        let run_id = new.run_id.unwrap_or_else(|| self.id());
        let job = Job {
            id,
            run_id,
            run_attempt: 1,
            name: text(new.name, "build"),
            workflow: text(new.workflow, "CI"),
            repository,
            labels: new.labels,
            run: new.run,
            env: new.env,
            via: new.via,
            status: new.status,
            conclusion: None,
            runner_id: None,
            runner: None,
            runner_group_id: None,
            runner_group: None,
            leased_to: None,
            output: String::new(),
            started: 0,
            created_at: new.created_at.unwrap_or_else(|| self.now()),
            started_at: None,
            completed_at: None,
        };
        Ok(self.add_job(job, (new.runner, new.group), !new.unannounced))
    }

    fn add_job(
        &mut self,
        job: Job,
        (pinned, group): (Option<String>, Option<String>),
        announced: bool,
    ) -> Job {
        let id = job.id;
        let action = job.status.as_str();
        let hosted = job.is_hosted() && job.status == JobStatus::Queued;
        let entry = JobEntry {
            job: job.clone(),
            cancelled: false,
            pinned,
            group,
            last_delivery: None,
        };
        self.jobs.insert(id, entry);
        if announced {
            self.tell(id, action);
        }
        if hosted {
            self.run_hosted(id);
        }
        job
    }

    /// GitHub's own runner takes the job and is done with it.
    fn run_hosted(&mut self, id: u64) {
        let runner = self.id();
        let now = self.now();
        if let Some(entry) = self.jobs.get_mut(&id) {
            let job = &mut entry.job;
            job.status = JobStatus::InProgress;
            job.started_at = Some(now);
            job.started = 1;
            job.runner_id = Some(runner);
            job.runner = Some(format!("GitHub Actions {runner}"));
            job.runner_group_id = Some(0);
            job.runner_group = Some("GitHub Actions".to_owned());
        }
        self.tell(id, "in_progress");
        self.conclude(id, "success");
    }

    /// A runner begins the job that was leased to it.
    pub(crate) fn begin(&mut self, id: u64, runner_id: u64) -> Option<Job> {
        let now = self.now();
        let runner = self.runners.get(&runner_id)?;
        let group = self.directory.group_name(&runner.scope, runner.group_id);
        let entry = self.jobs.get_mut(&id)?;
        let job = &mut entry.job;
        if job.status != JobStatus::Queued || job.leased_to != Some(runner_id) {
            return None;
        }
        job.status = JobStatus::InProgress;
        job.leased_to = None;
        job.started += 1;
        job.started_at = Some(now);
        job.runner_id = Some(runner_id);
        job.runner = Some(runner.name.clone());
        job.runner_group_id = Some(runner.group_id);
        job.runner_group = group;
        let begun = job.clone();
        self.tell(id, "in_progress");
        Some(begun)
    }

    /// More of the job's output.
    pub(crate) fn append_output(&mut self, id: u64, text: &str) {
        if let Some(entry) = self.jobs.get_mut(&id) {
            let room = OUTPUT_LIMIT.saturating_sub(entry.job.output.len());
            let end = (0..=room.min(text.len()))
                .rev()
                .find(|end| text.is_char_boundary(*end))
                .unwrap_or(0);
            entry.job.output.push_str(&text[..end]);
        }
    }

    /// The job ends, whoever ended it.
    pub(crate) fn conclude(&mut self, id: u64, conclusion: &str) {
        let now = self.now();
        let Some(entry) = self.jobs.get_mut(&id) else {
            return;
        };
        let job = &mut entry.job;
        if job.status == JobStatus::Completed {
            return;
        }
        job.status = JobStatus::Completed;
        job.leased_to = None;
        job.conclusion = Some(conclusion.to_owned());
        job.completed_at = Some(now);
        self.tell(id, "completed");
    }

    /// Somebody cancels the job. One that runs is ended by its runner; one that no runner has begun
    /// ends at once, also when it was leased.
    pub(crate) fn cancel_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let entry = self.entry(id)?;
        match entry.job.status {
            JobStatus::InProgress => entry.cancelled = true,
            JobStatus::Completed => {
                return Err(Rejected::invalid(format!("job {id} has ended already")));
            }
            JobStatus::Queued | JobStatus::Waiting => {
                let leased_to = entry.job.leased_to;
                self.conclude(id, "cancelled");
                self.free_runner(leased_to);
            }
        }
        self.job(id)
    }

    /// A queued job has to wait for an approval after all.
    pub(crate) fn hold_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let job = &mut self.entry(id)?.job;
        if job.status != JobStatus::Queued || job.leased_to.is_some() {
            return Err(Rejected::invalid(format!("job {id} is not queued")));
        }
        job.status = JobStatus::Waiting;
        self.tell(id, "waiting");
        self.job(id)
    }

    /// GitHub loses the assignment of a queued job: it stays queued, and no runner gets it until it
    /// is released. A runner that it was leased to is idle again.
    pub(crate) fn lose_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let job = &mut self.entry(id)?.job;
        if job.status != JobStatus::Queued {
            return Err(Rejected::invalid(format!("job {id} is not queued")));
        }
        let leased_to = job.leased_to.replace(NOBODY);
        self.free_runner(leased_to);
        self.job(id)
    }

    /// GitHub finds a lost job again.
    pub(crate) fn release_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let job = &mut self.entry(id)?.job;
        if job.leased_to != Some(NOBODY) {
            return Err(Rejected::invalid(format!("job {id} is not lost")));
        }
        job.leased_to = None;
        self.job(id)
    }

    /// A runner that a job was leased to waits for another.
    fn free_runner(&mut self, id: Option<u64>) {
        if let Some(runner) = id.and_then(|id| self.runners.get_mut(&id)) {
            runner.job = None;
            runner.held_until = None;
            runner.idle_since = runner.session.is_some().then(Instant::now);
        }
    }

    /// A waiting job is approved.
    pub(crate) fn approve_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let moved = self.settings.approval_moves_created_at.then(|| self.now());
        let job = &mut self.entry(id)?.job;
        if job.status != JobStatus::Waiting {
            return Err(Rejected::invalid(format!("job {id} is not waiting")));
        }
        job.status = JobStatus::Queued;
        job.created_at = moved.unwrap_or(job.created_at);
        self.tell(id, "queued");
        self.job(id)
    }

    /// A completed job is run again: a new job of the same run's next attempt.
    pub(crate) fn rerun_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let old = self.job(id)?;
        let group = self.entry(id)?.group.clone();
        if old.status != JobStatus::Completed {
            return Err(Rejected::invalid(format!("job {id} has not ended yet")));
        }
        let again = Job {
            id: self.id(),
            run_attempt: old.run_attempt + 1,
            status: JobStatus::Queued,
            conclusion: None,
            runner_id: None,
            runner: None,
            runner_group_id: None,
            runner_group: None,
            output: String::new(),
            started: 0,
            created_at: self.now(),
            started_at: None,
            completed_at: None,
            ..old
        };
        Ok(self.add_job(again, (None, group), true))
    }

    /// Somebody deletes the run: its jobs are gone, and nothing tells of it.
    pub(crate) fn delete_run(&mut self, run: u64) -> Result<(), Rejected> {
        let of_run: Vec<u64> = self
            .jobs
            .values()
            .filter(|entry| entry.job.run_id == run)
            .map(|entry| entry.job.id)
            .collect();
        if of_run.is_empty() {
            return Err(Rejected::absent(format!("there is no run {run}")));
        }
        for id in of_run {
            self.jobs.remove(&id);
            let its = self.runners.values().find(|runner| runner.job == Some(id));
            let its = its.map(|runner| runner.id);
            self.free_runner(its);
        }
        Ok(())
    }

    /// The job of that number.
    pub(crate) fn job(&self, id: u64) -> Result<Job, Rejected> {
        self.jobs
            .get(&id)
            .map(|entry| entry.job.clone())
            .ok_or_else(|| Rejected::absent(format!("there is no job {id}")))
    }

    fn entry(&mut self, id: u64) -> Result<&mut JobEntry, Rejected> {
        self.jobs
            .get_mut(&id)
            .ok_or_else(|| Rejected::absent(format!("there is no job {id}")))
    }
}

/// The time of a job as answers and webhooks carry it.
pub(crate) fn started_or_created(job: &Job) -> String {
    stamp(job.started_at.unwrap_or(job.created_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_job_is_read_from_two_fields() {
        let job: NewJob =
            serde_json::from_str(r#"{"repository":"octo/hello","labels":["a"]}"#).unwrap();
        assert_eq!(job.status, JobStatus::Queued);
        assert_eq!(job.via, Via::App);
        let text = serde_json::to_string(&job).unwrap();
        assert!(serde_json::from_str::<NewJob>(&text).is_ok());
        assert!(serde_json::from_str::<NewJob>(r#"{"label":["a"]}"#).is_err());
    }
}
