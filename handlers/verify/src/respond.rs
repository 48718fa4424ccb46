//! Response to GitHub.
//!
//! GitHub lists deliveries with their status, and `sweep` asks for redelivery of failed ones. A 5xx
//! means that nothing was started or queued, a 423 that the deployment is paused. The three statuses in [`admission::answer`] mean a
//! deliberate rejection, and a 2xx needs nothing more. A 403 is as Lambda's own: a request from an
//! address that is not allowed. GitHub's are redelivered, because its addresses change. Any other
//! status does not come from `verify`.

use std::collections::BTreeMap;

use admission::{Refusal, answer};
use protocol::{Class, ExecutionName, Fault};
use serde::Serialize;
use serde_json::{Value, json};

use crate::event::BodyError;
use crate::handoff::HandoffError;
use crate::overflow::KeepError;
use crate::secret::{CheckError, SecretError};
use crate::signature::SignatureError;
use crate::source::SourceError;
use crate::start::StartError;
use crate::webhook::WebhookError;

/// What a request from elsewhere is answered.
const NOT_FROM_HERE: u16 = 403;

/// What was done with a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// An execution was started.
    Started(ExecutionName),
    /// An execution was at work already.
    Running(ExecutionName),
    /// The job has had as many executions as its events may begin; this was the last.
    Enough(ExecutionName),
    /// The job is in the overflow queue.
    Kept,
    /// `cleanup` sees to it.
    HandedOn(&'static str),
    /// The job ended on its own runner, which is noted.
    Noted,
    /// GitHub's ping was heard.
    Pong,
    /// The event had no job.
    NoJob,
    /// The job is not for this deployment.
    NotServed(Refusal),
    /// The deployment is paused; the job stays queued at GitHub.
    Paused,
    /// Nothing depends on the event.
    Ignored(String),
}

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It comes from an address that is not allowed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The body cannot be looked at.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// GitHub did not sign it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Whether GitHub signed it cannot be said.
    #[error(transparent)]
    Secret(SecretError),
    /// GitHub signed what cannot be used.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// No execution could be started, for a reason that waiting does not change.
    #[error("cannot start an execution: {0}")]
    Start(Box<StartError>),
    /// No execution could be started now, and the job could not be kept.
    #[error("cannot start an execution ({start}) or queue the job ({keep})")]
    NotKept {
        /// Why it was not started.
        start: Box<StartError>,
        /// Why it was not kept.
        keep: Box<KeepError>,
    },
    /// `cleanup` did not get the event.
    #[error("cannot pass the event to cleanup: {0}")]
    Handoff(Box<HandoffError>),
}

impl From<CheckError> for Error {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Signature(error) => Self::Signature(error),
            CheckError::Secret(error) => Self::Secret(error),
        }
    }
}

impl Error {
    /// Its name in the log.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(_) | Self::Body(_) | Self::Signature(_) | Self::Webhook(_) => {
                Fault::BadInput
            }
            Self::Secret(error) => error.fault(),
            Self::Start(error) | Self::NotKept { start: error, .. } => error.fault(),
            Self::Handoff(error) => error.fault(),
        }
    }

    /// Whether the request is not known to be GitHub's because nobody signed it: anybody can send
    /// such, so it must not raise an alarm by itself. A signature that could not be checked is trouble
    /// of ours.
    pub fn is_unsigned(&self) -> bool {
        matches!(self, Self::Source(_) | Self::Body(_) | Self::Signature(_))
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Source(_) => NOT_FROM_HERE,
            Self::Body(BodyError::TooLarge) => answer::TOO_LARGE,
            // What is not even decoded was not signed.
            Self::Body(BodyError::NotBase64) | Self::Signature(_) => answer::NOT_SIGNED,
            Self::Webhook(_) => answer::NOT_USABLE,
            Self::Secret(_) | Self::Start(_) | Self::NotKept { .. } | Self::Handoff(_) => {
                if self.fault().class() == Class::Transient {
                    503
                } else {
                    500
                }
            }
        }
    }

    /// What the sender is told. A stranger learns nothing: neither what is wrong with a signature,
    /// nor what is wrong on our side before one was checked.
    fn told(&self) -> String {
        match self {
            Self::Source(_) => "forbidden".to_owned(),
            Self::Body(BodyError::NotBase64) | Self::Signature(_) => "unauthorized".to_owned(),
            Self::Secret(_) => "the signature cannot be checked; see the log".to_owned(),
            Self::Body(BodyError::TooLarge) | Self::Webhook(_) => self.to_string(),
            Self::Start(_) | Self::NotKept { .. } => {
                "no execution was started; see the log".to_owned()
            }
            Self::Handoff(_) => "cleanup was not told; see the log".to_owned(),
        }
    }
}

impl Done {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Started(_) | Self::Running(_) | Self::Pong | Self::NoJob => 200,
            Self::Enough(_)
            | Self::Kept
            | Self::HandedOn(_)
            | Self::Noted
            | Self::NotServed(_)
            | Self::Ignored(_) => 202,
            Self::Paused => answer::PAUSED,
        }
    }

    /// What GitHub is answered. The log has it as well, for `fargate-runners why`.
    pub(crate) fn body(&self) -> Value {
        match self {
            Self::Started(execution) => json!({ "result": "started", "execution": execution }),
            Self::Running(execution) => json!({ "result": "running", "execution": execution }),
            Self::Enough(execution) => json!({
                "result": "ignored",
                "reason": "the job has had five executions; re-run it if it still waits",
                "execution": execution,
            }),
            Self::Kept => json!({ "result": "kept" }),
            Self::HandedOn(kind) => json!({ "result": "handed on", "kind": kind }),
            Self::Noted => json!({ "result": "noted" }),
            Self::Pong => json!({ "result": "pong" }),
            Self::Paused => json!({
                "result": "paused",
                "reason": "the deployment is paused (`fargate-runners resume`); sweep asks for this delivery again",
            }),
            Self::NoJob => json!({ "result": "ignored", "reason": "the event has no job" }),
            Self::NotServed(refusal) => {
                json!({ "result": "ignored", "reason": refusal.to_string() })
            }
            Self::Ignored(event) => {
                json!({ "result": "ignored", "reason": format!("no action depends on {event}") })
            }
        }
    }
}

/// An HTTP answer, as function URL and HTTP API take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, &'static str>,
    /// A small JSON object.
    pub body: String,
}

impl Response {
    fn new(status_code: u16, body: &Value) -> Self {
        Self {
            status_code,
            headers: BTreeMap::from([("content-type", "application/json")]),
            body: body.to_string(),
        }
    }
}

impl From<&Result<Done, Error>> for Response {
    fn from(result: &Result<Done, Error>) -> Self {
        match result {
            Ok(done) => Self::new(done.status(), &done.body()),
            Err(error) => Self::new(error.status(), &json!({ "error": error.told() })),
        }
    }
}

#[cfg(test)]
mod tests {
    use admission::answer::is_refusal;

    use super::*;

    fn answer(result: &Result<Done, Error>) -> (u16, Value) {
        let response = Response::from(result);
        (
            response.status_code,
            serde_json::from_str(&response.body).unwrap(),
        )
    }

    #[test]
    fn what_was_done_is_said() {
        let execution: ExecutionName = "hello-4242".parse().unwrap();
        for (done, status, body) in [
            (
                Done::Started(execution.clone()),
                200,
                json!({"execution":"hello-4242","result":"started"}),
            ),
            (
                Done::Running(execution),
                200,
                json!({"execution":"hello-4242","result":"running"}),
            ),
            (Done::Kept, 202, json!({"result":"kept"})),
            (
                Done::HandedOn("cancelled"),
                202,
                json!({"kind":"cancelled","result":"handed on"}),
            ),
            (Done::Noted, 202, json!({"result":"noted"})),
            (Done::Pong, 200, json!({"result":"pong"})),
            (
                Done::NoJob,
                200,
                json!({"reason":"the event has no job","result":"ignored"}),
            ),
            (
                Done::NotServed(Refusal::Owner("octo".to_owned())),
                202,
                json!({"reason":"octo is not among ALLOWED_OWNERS","result":"ignored"}),
            ),
            (
                Done::Ignored("push".to_owned()),
                202,
                json!({"reason":"no action depends on push","result":"ignored"}),
            ),
        ] {
            assert_eq!(answer(&Ok(done)), (status, body));
        }
    }

    #[test]
    fn every_wrong_signature_is_answered_alike() {
        for error in [
            Error::Signature(SignatureError::Missing),
            Error::Signature(SignatureError::Scheme),
            Error::Signature(SignatureError::Length(3)),
            Error::Signature(SignatureError::Digits),
            Error::Signature(SignatureError::Mismatch),
            Error::Body(BodyError::NotBase64),
        ] {
            assert_eq!(answer(&Err(error)), (401, json!({"error":"unauthorized"})));
        }
    }

    #[test]
    fn what_anybody_can_send_is_told_from_what_github_signed() {
        let late = || aws::Error::timed_out("ssm:GetParameter", "/p/github/webhook-secret");
        for (error, unsigned) in [
            (Error::Source(SourceError::Unknown(None)), true),
            (Error::Body(BodyError::TooLarge), true),
            (Error::Body(BodyError::NotBase64), true),
            (Error::Signature(SignatureError::Missing), true),
            (Error::Signature(SignatureError::Mismatch), true),
            (Error::Webhook(WebhookError::NoEvent), false),
            (Error::Secret(late().into()), false),
            (Error::Start(Box::new(late().into())), false),
        ] {
            assert_eq!(error.is_unsigned(), unsigned, "{error}");
        }
    }

    #[test]
    fn a_stranger_learns_nothing_and_githubs_new_addresses_get_their_webhooks_again() {
        let outside = SourceError::Outside([203, 0, 113, 7].into());
        let (status, body) = answer(&Err(outside.into()));
        assert_eq!((status, body), (403, json!({"error":"forbidden"})));
        assert!(!is_refusal(status), "sweep has it redelivered");
    }

    #[test]
    fn permanent_is_500_and_transient_503_and_a_refusal_one_of_three_statuses() {
        let late = || aws::Error::timed_out("ssm:GetParameter", "/p/github/webhook-secret");
        let missing = SecretError::Missing("/p/github/webhook-secret".to_owned());
        for (error, status) in [
            (Error::Body(BodyError::TooLarge), 413),
            (Error::Webhook(WebhookError::NoEvent), 422),
            (Error::Secret(missing), 500),
            (Error::Secret(late().into()), 503),
            (Error::Start(Box::new(late().into())), 503),
            (
                Error::NotKept {
                    start: Box::new(late().into()),
                    keep: Box::new(KeepError::NoQueue),
                },
                503,
            ),
            (Error::Handoff(Box::new(late().into())), 503),
        ] {
            let (told, body) = answer(&Err(error));
            assert_eq!(told, status, "{body}");
            assert_eq!(
                is_refusal(told),
                told < 500,
                "sweep repeats exactly the 5xx"
            );
            assert!(!body.to_string().contains("webhook-secret"), "{body}");
        }
    }
}
