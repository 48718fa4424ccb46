//! The table: tickets, bells, waits and shares of the pool, and the leases of the caps.
//!
//! A warm task is a task whose runner is not registered yet. Its *ticket* says that it is in stock;
//! whoever deletes the ticket owns the task. Its *bell* tells it to take a registration, or to leave.
//! An execution that adopted a task *waits* under the task's ARN. A *share* bounds what one repository
//! takes in a minute. A *job's note* says that the job ended,
//! and on which runner.
//!
//! | item | `pk` | `sk` | module |
//! |---|---|---|---|
//! | ticket | `stock#<family>` | `slot#NN` | [`ticket`] |
//! | the keeper's notes | `stock#<family>` | `keeper` | [`notes`]; [`stock`] reads both |
//! | job's note | `job#<owner/name>#<job id>` | `note` | [`job_note`] |
//! | a family that has or had a stock | `families` | family | [`families`] |
//! | share | `share#<family>#<owner/name>#<epoch minute>` | `share` | [`share`] |
//! | bell | `bell#<key>` | `bell` | [`bell`], [`protocol::bell`] |
//! | wait | `wait` | task ARN | [`wait`] |
//! | leases of the caps, and who waits for one | `slots` | `slots` | [`slots`] |
//! | job to re-run after an interruption | `reruns` | `<owner/name>#<job id>` | [`reruns`] |
//! | job that a runner took instead of its own | `taken#<runner>` | `taken` | [`reruns`] |
//! | loss of a runner whose job is not known yet | `taken#<runner>` | `lost` | [`reruns`] |
//!
//! Every operation is one call, and no call is retried here: the result of a conditional write would
//! be ambiguous after a lost answer. [`Written`] tells whether a condition held, [`Error`] whether a
//! failed call may have been carried out.
//!
//! The pool is an optimization: a caller that meets an [`Error`] goes on without a warm task. Caps are
//! not: without an answer a job waits.

pub mod bell;
mod calls;
mod error;
pub mod families;
mod item;
pub mod job_note;
pub mod notes;
pub mod reruns;
pub mod share;
pub mod slots;
pub mod stock;
pub mod ticket;
pub mod wait;

use std::time::Duration;

use aws::{Late, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use runtime::settings::{Settings, Variable};

pub use bell::{BellSeen, Ring, Withdrawal};
pub use error::{Error, Written};
pub use job_note::JobNote;
pub use notes::Notes;
pub use reruns::{RERUNS, RerunNote, Reruns};
pub use slots::{CAPS, Capped, Tried};
pub use stock::Stocked;
pub use ticket::{Claim, Slot, Ticket, TicketKey};
pub use wait::{TaskToken, Wait};

/// The table's variable.
pub const TABLE: Variable = Variable::optional(
    "TABLE",
    "DynamoDB table of warm tasks and of notes about jobs; without it there are neither",
);

/// Variables of [`Pool::from_settings`].
pub const VARIABLES: &[Variable] = &[TABLE];

/// Connect timeout. DynamoDB answers within milliseconds, and a job can start without it.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Timeout of a call, so that a sick table delays a job by a second.
const TIMEOUT: Duration = Duration::from_millis(900);

/// The configuration of a client whose calls a waiting job can do without: no retries, and short
/// timeouts.
pub fn impatient(aws: &SdkConfig) -> SdkConfig {
    aws.to_builder()
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(TIMEOUT)
                .build(),
        )
        .build()
}

/// The table of one deployment's pool.
#[derive(Clone, Debug)]
pub struct Pool {
    client: Late<Client>,
    table: String,
}

impl Pool {
    /// The pool of these settings; `None` without one.
    pub fn from_settings(settings: &Settings, aws: &SdkConfig) -> Option<Self> {
        Some(Self::of(aws, settings.maybe(&TABLE)?))
    }

    /// The pool in this table.
    pub(crate) fn of(aws: &SdkConfig, table: String) -> Self {
        let client = Late::new(&impatient(aws), Client::new);
        Self { client, table }
    }

    /// The pool of these settings, for a program that does nothing without one.
    pub fn required(
        settings: &Settings,
        aws: &SdkConfig,
    ) -> Result<Self, runtime::settings::Error> {
        Self::from_settings(settings, aws).ok_or(runtime::settings::Error::Missing {
            name: TABLE.name,
            meaning: TABLE.meaning,
        })
    }

    /// Uses an existing client, such as a test's.
    pub fn over(client: Client, table: impl Into<String>) -> Self {
        Self {
            client: client.into(),
            table: table.into(),
        }
    }

    /// The table's name, for the tasks of the stock.
    pub fn table(&self) -> &str {
        &self.table
    }
}
