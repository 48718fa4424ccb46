//! What is paid for a job, and for a month without one.

use crate::counts::Counts;
use crate::prices::{
    ALARM_MONTH, DASHBOARD_MONTH, GB_SECOND_ARM, INVOCATION, KEY_MONTH, KMS_CALL, LOG_GB, Price,
    SQS_CALL, TRANSITION,
};

/// Functions that a job invokes, with how often.
pub(crate) const INVOKED: [(&str, f64); 5] = [
    ("verify", 3.0),
    ("match", 1.0),
    ("launch", 1.0),
    ("token", 1.0),
    ("cleanup", 2.0),
];

/// Hours of a month, as AWS reckons.
pub(crate) const HOURS: f64 = 730.0;
/// Sweeps of an hour.
const SWEEPS: f64 = 12.0;
/// Requests of an hour with which Lambda watches an empty queue: five readers that each wait for 20
/// seconds ([source](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)).
const WATCHING: f64 = 5.0 * 180.0;

/// Something that is paid for.
pub(crate) struct Item {
    pub(crate) what: String,
    pub(crate) quantity: f64,
    price: &'static Price,
}

impl Item {
    pub(crate) fn new(what: impl Into<String>, quantity: f64, price: &'static Price) -> Self {
        Self {
            what: what.into(),
            quantity,
            price,
        }
    }

    pub(crate) fn price(&self) -> f64 {
        self.quantity * self.price.dollars
    }
}

/// All of it.
pub(crate) struct Bill(pub(crate) Vec<Item>);

impl Bill {
    pub(crate) fn total(&self) -> f64 {
        self.0.iter().map(Item::price).sum()
    }

    /// Lambda invocations in it.
    pub(crate) fn invocations(&self) -> f64 {
        let requests = self
            .0
            .iter()
            .filter(|item| item.price.what == INVOCATION.what);
        requests.map(|item| item.quantity).sum()
    }
}

/// A job that goes well, without its time on Fargate.
pub(crate) fn job(counts: &Counts) -> Bill {
    job_of(counts, &counts.states, &INVOKED)
}

/// A job that passes these states and has these functions invoked.
pub(crate) fn job_of(counts: &Counts, states: &[String], invoked: &[(&str, f64)]) -> Bill {
    let sum = |of: &dyn Fn(&str) -> f64| invoked.iter().map(|(name, times)| times * of(name)).sum();
    // Far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let states = states.len() as f64;
    let invocations = invoked.iter().map(|(_, times)| times).sum();
    let gb_seconds = sum(&|name| counts.gb_seconds(name));
    let log: f64 = sum(&|name| counts.log_bytes(name));
    Bill(vec![
        Item::new("state transitions", states, *TRANSITION),
        Item::new("Lambda requests", invocations, *INVOCATION),
        Item::new("Lambda GB-seconds (arm64)", gb_seconds, *GB_SECOND_ARM),
        Item::new("GB of function logs", log / 1e9, *LOG_GB),
        // The parameter is encrypted once and decrypted once.
        Item::new("KMS requests", 2.0, *KMS_CALL),
    ])
}

/// A month in which nobody builds.
pub(crate) fn idle_month(counts: &Counts) -> Bill {
    let sweeps = HOURS * SWEEPS;
    // One alarm watches an expression of two metrics, and each is billed.
    let alarms = f64::from(counts.resources("AWS::CloudWatch::Alarm") + 1);
    let keys = counts.resources("AWS::KMS::Key").into();
    let dashboards = counts.resources("AWS::CloudWatch::Dashboard").into();
    let log = sweeps * counts.log_bytes("sweep");
    Bill(vec![
        Item::new("`sweep`: Lambda requests", sweeps, *INVOCATION),
        Item::new(
            "`sweep`: GB-seconds (arm64)",
            sweeps * counts.gb_seconds("sweep"),
            *GB_SECOND_ARM,
        ),
        Item::new("`sweep`: GB of logs", log / 1e9, *LOG_GB),
        Item::new(
            "polling the overflow queue: SQS requests",
            HOURS * WATCHING,
            *SQS_CALL,
        ),
        Item::new("alarms, by metrics watched", alarms, *ALARM_MONTH),
        Item::new("dashboards", dashboards, *DASHBOARD_MONTH),
        Item::new("key of the App's secrets", keys, *KEY_MONTH),
    ])
}
