//! What a listener is told, and what it says of its job.

use std::time::Instant;

use crate::config::DeletionNotice;
use crate::random;
use crate::state::jit::Credential;
use crate::state::job::{Job, JobStatus};
use crate::state::refusal::Refusal;
use crate::state::session::{Doing, Message, Notice, Session};
use crate::state::world::World;

impl World {
    /// Opens the session of a runner.
    pub(crate) fn open_session(
        &mut self,
        credential: &Credential,
        version: &str,
    ) -> Result<String, Refusal> {
        let runner = self
            .runners
            .values_mut()
            .find(|runner| runner.credential == *credential)
            .ok_or_else(|| Refusal::unauthorized("invalid_client"))?;
        if runner.session.is_some() {
            return Err(Refusal::conflict("The runner has a session already."));
        }
        if runner.job.is_some() {
            // It went while a job was leased to it; that job is not handed out again so soon.
            return Err(Refusal::conflict(
                "The runner's last session is not over yet.",
            ));
        }
        let now = Instant::now();
        let id = random::uuid();
        runner.session = Some(id.clone());
        runner.version = Some(version.to_owned());
        runner.idle_since = Some(now);
        runner.lost_at = None;
        let session = Session {
            runner: runner.id,
            notice: None,
            ghost: false,
            update: false,
            version: version.to_owned(),
            connections: 0,
            last_heard: now,
        };
        self.sessions.insert(id.clone(), session);
        Ok(id)
    }

    /// Ends a session from either side. A job that its runner had stays with it for a while.
    pub(crate) fn close_session(&mut self, id: &str) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if let Some(runner) = self.runners.get_mut(&session.runner)
            && runner.session.as_deref() == Some(id)
        {
            runner.session = None;
            runner.idle_since = None;
            runner.lost_at = Some(session.last_heard);
        }
    }

    /// What there is to tell; an end of the session is a refusal.
    pub(crate) fn message(&self, session: &str, doing: Doing) -> Result<Option<Message>, Refusal> {
        let revoked = || Refusal::unauthorized("The runner's token is revoked.");
        let session = self.sessions.get(session).ok_or_else(revoked)?;
        match session.notice {
            Some(Notice::Deleted) if self.settings.deletion_notice == DeletionNotice::NotFound => {
                return Err(Refusal::new(404, "Runner not found"));
            }
            Some(_) => return Err(revoked()),
            None => {}
        }
        if session.ghost {
            return Ok(None);
        }
        if doing == Doing::Idle && self.is_outdated(&session.version) {
            // GitHub words this as it likes; nothing may hang on the sentence.
            return Err(Refusal::new(
                403,
                "This runner is too old to be sent jobs. Install a newer one.",
            ));
        }
        if doing == Doing::Idle && session.update {
            return Ok(Some(Message::Update));
        }
        let job = self
            .runners
            .get(&session.runner)
            .filter(|runner| runner.held_until.is_none())
            .and_then(|runner| runner.job);
        let Some(entry) = job.and_then(|job| self.jobs.get(&job)) else {
            return Ok(None);
        };
        Ok(match (entry.job.status, doing) {
            (JobStatus::Queued, Doing::Idle) => Some(Message::Job(entry.job.id)),
            (JobStatus::InProgress, Doing::Busy) if entry.cancelled => {
                Some(Message::Cancel(entry.job.id))
            }
            _ => None,
        })
    }

    pub(crate) fn has_message(&self, session: &str) -> bool {
        !matches!(self.message(session, Doing::Idle), Ok(None))
    }

    /// Whether a listener would hear of a job.
    pub(crate) fn is_listening(&self, session: &Session) -> bool {
        session.notice.is_none()
            && !session.ghost
            && !session.update
            && !self.is_outdated(&session.version)
    }

    /// The session's runner begins the job it was told of.
    pub(crate) fn acquire(&mut self, session: &str, job: u64) -> Option<Job> {
        let runner = self
            .sessions
            .get(session)
            .filter(|session| session.notice.is_none())?
            .runner;
        self.begin(job, runner)
    }

    /// The session's runner is done with its job.
    pub(crate) fn complete(&mut self, session: &str, job: u64, conclusion: &str) -> bool {
        let Some(id) = self.sessions.get(session).map(|session| session.runner) else {
            return false;
        };
        let Some(runner) = self
            .runners
            .get_mut(&id)
            .filter(|runner| runner.job == Some(job))
        else {
            return false;
        };
        runner.job = None;
        runner.idle_since = Some(Instant::now());
        let ephemeral = runner.ephemeral;
        self.conclude(job, conclusion);
        if ephemeral {
            self.remove_runner(id, Notice::Ended);
        }
        true
    }

    /// Whether GitHub sends no messages to this version any more.
    fn is_outdated(&self, version: &str) -> bool {
        let numbers = |text: &str| -> Vec<u64> {
            text.split('.')
                .map(|part| part.parse().unwrap_or(0))
                .collect()
        };
        self.settings
            .minimum_runner_version
            .as_ref()
            .is_some_and(|minimum| numbers(version) < numbers(minimum))
    }
}
