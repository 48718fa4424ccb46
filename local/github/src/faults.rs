//! What goes wrong on demand.

use serde::{Deserialize, Serialize};

/// Something that goes wrong with the next calls of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Only calls of this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only calls whose path or route template contains this.
    #[serde(default)]
    pub path: Option<String>,
    /// How many calls.
    #[serde(default = "once")]
    pub times: u32,
    /// How many calls are spared before.
    #[serde(default)]
    pub skip: u32,
    /// Whether the call is carried out and only its answer goes wrong.
    #[serde(default)]
    pub after: bool,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    /// This status is answered.
    Status {
        /// The status.
        status: u16,
        /// GitHub's `message`; the status' own words if not given.
        #[serde(default)]
        message: Option<String>,
        /// The `retry-after` header, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The hour's calls are used up: 403 with `x-ratelimit-remaining: 0`.
    RateLimited {
        /// In how many seconds `x-ratelimit-reset` comes.
        reset_seconds: i64,
    },
    /// A secondary limit: 403 with `retry-after`.
    SecondaryLimit {
        /// Its seconds.
        retry_after: u64,
    },
    /// The answer takes its time.
    Slow {
        /// How long.
        milliseconds: u64,
    },
    /// The connection is cut without an answer.
    Disconnect,
}

impl Fault {
    /// The fault, for the next call of any route.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            method: None,
            path: None,
            times: 1,
            skip: 0,
            after: false,
        }
    }

    /// Only for calls of this method whose path or route template contains `path`.
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    /// For so many calls.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The call is carried out, and only its answer goes wrong.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }

    pub(crate) fn concerns(&self, method: &str, path: &str, template: &str) -> bool {
        let same_method = |wanted: &String| wanted.eq_ignore_ascii_case(method);
        let same_path = |wanted: &String| path.contains(wanted) || template.contains(wanted);
        self.method.as_ref().is_none_or(same_method) && self.path.as_ref().is_none_or(same_path)
    }
}

/// A call that a fault met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// When it came.
    pub at: String,
    /// What went wrong.
    pub fault: Fault,
    /// Its path with the query.
    pub path: String,
    /// Its body, the first part.
    pub body: String,
}

/// Something that goes wrong with the next webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: DeliveryFaultKind,
    /// Only for this action, like `queued`.
    #[serde(default)]
    pub action: Option<String>,
    /// Only for this job.
    #[serde(default)]
    pub job: Option<u64>,
    /// How many webhooks.
    #[serde(default = "once")]
    pub times: u32,
}

/// What goes wrong with a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum DeliveryFaultKind {
    /// It does not reach the receiver. GitHub records this status: 502 is a connection that failed,
    /// 504 one that took too long, any other what stands before the receiver answered (Lambda: 403,
    /// 408, 429).
    Fail {
        /// The status.
        status: u16,
    },
    /// GitHub never sends it and records nothing.
    NeverSend,
    /// It arrives, and then the same delivery arrives again.
    Duplicate {
        /// How many times again.
        copies: u32,
    },
    /// It arrives later, and later ones do not wait for it.
    Delay {
        /// How much later.
        milliseconds: u64,
    },
}

impl DeliveryFault {
    /// The fault, for the next webhook of any job.
    pub fn new(kind: DeliveryFaultKind) -> Self {
        Self {
            kind,
            action: None,
            job: None,
            times: 1,
        }
    }

    /// Only for this action.
    #[must_use]
    pub fn on(mut self, action: &str) -> Self {
        self.action = Some(action.to_owned());
        self
    }

    /// Only for this job.
    #[must_use]
    pub fn job(mut self, id: u64) -> Self {
        self.job = Some(id);
        self
    }

    /// For so many webhooks.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

fn once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_as_flat_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"fault":"status","status":502,"method":"POST","path":"jit","times":2,"after":true}"#,
        )
        .unwrap();
        let kind = FaultKind::Status {
            status: 502,
            message: None,
            retry_after: None,
        };
        assert_eq!(fault, Fault::new(kind).on("POST", "jit").times(2).after());
        let fault: DeliveryFault =
            serde_json::from_str(r#"{"fault":"delay","milliseconds":5,"action":"queued"}"#)
                .unwrap();
        assert_eq!(
            fault,
            DeliveryFault::new(DeliveryFaultKind::Delay { milliseconds: 5 }).on("queued")
        );
    }

    #[test]
    fn a_fault_concerns_the_calls_it_names() {
        let fault = Fault::new(FaultKind::Disconnect).on("delete", "/runners/{runner_id}");
        let template = "/orgs/{org}/actions/runners/{runner_id}";
        assert!(fault.concerns("DELETE", "/orgs/o/actions/runners/1", template));
        assert!(!fault.concerns("GET", "/orgs/o/actions/runners/1", template));
        assert!(!fault.concerns("DELETE", "/x", "/x"));
    }
}
