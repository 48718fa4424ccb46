//! Keeps warm tasks in stock: tasks that run before a job comes, so that it starts in seconds.
//!
//! Called by `token` after each job (without waiting), by ECS when such a task runs or ends, and every
//! minute. Each call is one [`pass`] over a family, the minute's over all:
//!
//! 1. Read the family's tickets and the keeper's notes: one Query. The minute's call also asks ECS for
//!    the newest revision and about the tickets' tasks.
//! 2. Decide about each ticket, and which slots to fill ([`plan`]; the rules are in `decisions`).
//! 3. Carry it out. A ticket is created and deleted conditionally, so calls at the same time do no harm.
//!
//! A warm task is an optimization: whatever fails here, jobs start without one.
//!
//! | error | why | what to do |
//! |---|---|---|
//! | `BadInput` | the event is not one of these | nothing; somebody else called the function |
//! | `BadConfiguration` | a task definition has the tag `GH:warm`, but `STOCK` not its family | give its runner `warm`, or remove the tag |
//! | `Incomplete` | AWS refused something; the message says what | what the message says; the next call tries again |

mod deps;
mod ecs;
mod error;
pub mod event;
mod former;
mod hours;
pub mod pass;
pub mod plan;
pub mod settings;
pub mod stocks;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

pub use deps::{Deps, Former};
pub use error::Error;
pub use event::Event;
pub use settings::Config;
pub use stocks::{Stock, Stocks};

use pass::{Report, Starts, Trigger, look_after};

/// Tasks that one invocation starts at most; the next one starts the rest. ECS starts 20 a second for
/// the whole account, and jobs go first.
pub const MOST_STARTS: usize = 20;

/// What an invocation did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// One for each family that it looked after.
    pub families: Vec<Report>,
}

pub async fn handle(deps: &Deps, event: Value, now: OffsetDateTime) -> Result<Answer, Error> {
    let stocks = &deps.config.stocks;
    let mut starts = Starts(MOST_STARTS);
    let mut families = Vec::new();
    match Event::parse(event)? {
        None => tracing::info!("skipping a task that is not of the stock"),
        Some(Event::Tick) => {
            for stock in stocks.iter() {
                families.push(look_after(deps, stock, Trigger::Tick, &mut starts, now).await);
            }
            families.extend(former::retire(deps, now).await);
        }
        Some(Event::Demanded(demanded)) => {
            let stock = stocks
                .of(&demanded.family)
                .ok_or_else(|| Error::UnknownFamily(demanded.family.clone()))?;
            tracing::info!(family = demanded.family, repository = %demanded.repository, start = ?demanded.start, "a job came");
            families.push(look_after(deps, stock, Trigger::Job, &mut starts, now).await);
        }
        Some(Event::Task(task)) => match stocks.of(&task.ticket.family) {
            Some(stock) => {
                let trigger = Trigger::Task(task);
                families.push(look_after(deps, stock, trigger, &mut starts, now).await);
            }
            // Its pool was removed; the minute's call retires it.
            None => {
                tracing::info!(ticket = %task.ticket, "skipping a task of a family without a stock");
            }
        },
    }
    let failed: Vec<String> = families
        .iter()
        .flat_map(|report| report.failed.clone())
        .collect();
    if failed.is_empty() {
        Ok(Answer { families })
    } else {
        Err(Error::Incomplete(failed))
    }
}
