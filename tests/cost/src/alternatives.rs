//! What others would pay, by the same prices. Their counts are read off their sources and
//! documentation, their times assumed; neither was run.

use crate::bill::{Bill, Item};
use crate::prices::{
    CUSTOM_EVENT, GB_SECOND_X86, HTTP_API_CALL, INVOCATION, SECRET_CALL, SECRET_MONTH, SQS_CALL,
    TRANSITION,
};

/// Another system.
pub(crate) struct Other {
    pub(crate) name: &'static str,
    pub(crate) job: Bill,
    pub(crate) idle: Bill,
    pub(crate) assumed: &'static str,
}

pub(crate) fn all() -> [Other; 2] {
    [cloud_snorkel(), terraform()]
}

/// <https://github.com/CloudSnorkel/cdk-github-runners>
fn cloud_snorkel() -> Other {
    Other {
        name: "CloudSnorkel/cdk-github-runners",
        job: Bill(vec![
            Item::new("state transitions", 6.0, *TRANSITION),
            Item::new("Lambda requests", 5.0, *INVOCATION),
            Item::new(
                "Lambda GB-seconds",
                5.0 * 0.5 * 128.0 / 1_024.0,
                *GB_SECOND_X86,
            ),
            Item::new("Secrets Manager requests", 4.0, *SECRET_CALL),
        ]),
        idle: Bill(vec![
            Item::new("secrets", 4.0, *SECRET_MONTH),
            // Redelivery of failed webhooks, every five minutes.
            Item::new("Lambda requests", 730.0 * 12.0, *INVOCATION),
            Item::new(
                "Lambda GB-seconds",
                730.0 * 12.0 * 128.0 / 1_024.0,
                *GB_SECOND_X86,
            ),
        ]),
        assumed: "6 transitions, 5 invocations of 0.5 s at 128 MB, 4 secret reads; 4 secrets, redelivery every 5 min",
    }
}

/// <https://github.com/github-aws-runners/terraform-aws-github-runner>
fn terraform() -> Other {
    Other {
        name: "terraform-aws-github-runner",
        job: Bill(vec![
            Item::new("HTTP API requests", 3.0, *HTTP_API_CALL),
            Item::new("events", 3.0, *CUSTOM_EVENT),
            Item::new("SQS requests", 3.0, *SQS_CALL),
            // Three webhooks, each passed on by a dispatcher, and one launch.
            Item::new("Lambda requests", 7.0, *INVOCATION),
            Item::new(
                "Lambda GB-seconds",
                6.0 * 0.3 * 0.25 + 3.0 * 0.5,
                *GB_SECOND_X86,
            ),
        ]),
        idle: Bill(vec![
            // Scale-down every five minutes.
            Item::new("Lambda requests", 730.0 * 12.0, *INVOCATION),
            Item::new(
                "Lambda GB-seconds",
                730.0 * 12.0 * 2.0 * 0.5,
                *GB_SECOND_X86,
            ),
            Item::new("SQS requests", 730.0 * 900.0, *SQS_CALL),
        ]),
        assumed: "no state machine, EC2 instead of Fargate; 3 webhooks through webhook and dispatcher (0.3 s at 256 MB), one launch (3 s at 512 MB), scale-down every 5 min (2 s at 512 MB)",
    }
}
