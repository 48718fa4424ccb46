//! A job's life: queued, begun, ended.

use crate::state::accounts::{Repository, Scope};
use crate::state::job::{Job, JobEntry, JobStatus, NewJob};
use crate::state::refusal::Rejected;
use crate::state::world::World;

/// GitHub keeps no more than this of a job's output here.
const OUTPUT_LIMIT: usize = 1 << 20;
/// The largest summary of one step, in bytes.
const SUMMARY_LIMIT: usize = 1024 * 1024;

/// Labels as GitHub tells of them: with the one expression evaluated that labels for a run need.
fn evaluated(labels: Vec<String>, run_id: u64) -> Vec<String> {
    let id = run_id.to_string();
    let labels = labels.into_iter();
    labels
        .map(|label| label.replace("${{ github.run_id }}", &id))
        .collect()
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
            labels: evaluated(new.labels, run_id),
            run: new.run,
            env: new.env,
            via: new.via,
            fork: new.fork,
            status: new.status,
            conclusion: None,
            runner_id: None,
            runner: None,
            runner_group_id: None,
            runner_group: None,
            leased_to: None,
            output: String::new(),
            summary: String::new(),
            started: 0,
            created_at: new.created_at.unwrap_or_else(|| self.exactly()),
            started_at: None,
            completed_at: None,
        };
        Ok(self.add_job(job, (new.runner, new.group), !new.unannounced))
    }

    pub(crate) fn add_job(
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
        let now = self.exactly();
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

    /// More of the job's summary. GitHub takes 1 MiB of each step
    /// ([documentation](https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits)).
    pub(crate) fn append_summary(&mut self, id: u64, text: &str) {
        if let Some(entry) = self.jobs.get_mut(&id)
            && text.len() <= SUMMARY_LIMIT
        {
            entry.job.summary.push_str(text);
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

    /// The job of that number.
    pub(crate) fn job(&self, id: u64) -> Result<Job, Rejected> {
        self.jobs
            .get(&id)
            .map(|entry| entry.job.clone())
            .ok_or_else(|| Rejected::absent(format!("there is no job {id}")))
    }

    pub(crate) fn entry(&mut self, id: u64) -> Result<&mut JobEntry, Rejected> {
        self.jobs
            .get_mut(&id)
            .ok_or_else(|| Rejected::absent(format!("there is no job {id}")))
    }

    /// The jobs of a run of a repository, if there is one.
    pub(crate) fn jobs_of_run(&self, scope: &Scope, run: u64) -> Option<Vec<&Job>> {
        let jobs: Vec<&Job> = self
            .jobs
            .values()
            .map(|entry| &entry.job)
            .filter(|job| job.run_id == run && job.repository == scope.as_str())
            .collect();
        (!jobs.is_empty()).then_some(jobs)
    }
}
