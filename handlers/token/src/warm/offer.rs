//! Offering the registration to a claimed task: tag, ring, answer.
//!
//! The task is tagged before it is rung, so a task without a runner's tag has never been offered a
//! registration.

use std::time::Duration;

use aws_sdk_ecs::types::Tag;
use decisions::{Answer, OnAnswer, Start, Withdrawn, on_answer, on_withdrawn};
use pool::{Ring, Ticket, Withdrawal};
use protocol::Adopted;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::request::{Cold, LIMIT, Request, Stock};

/// The task looks at its bell every half second.
const FIRST_LOOK: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(200);
/// Bound of the loop; the limit in time comes first.
const LOOKS: u32 = 20;
/// How often a withdrawal is tried. An answer that was lost once tells itself the second time.
const WITHDRAWALS: u32 = 2;

/// Offers the registration to the task of a claimed ticket. `started` is when the claim began: the
/// whole of it has one limit.
pub async fn offer(
    stock: &Stock,
    request: &Request<'_>,
    (ticket, task_arn): (&Ticket, String),
    started: Instant,
) -> Result<Adopted, Cold> {
    if let Err(error) = tag(stock, request, &task_arn).await {
        // Nobody rang, so the job goes on whatever becomes of the withdrawal.
        withdraw(stock, request, ticket, &task_arn).await;
        return Err(Cold::NotTagged(Box::new(error)));
    }
    let ring = Ring {
        parameter: request.runner.parameter.clone(),
        runner: request.runner.name.clone(),
        execution: request.runner.name.execution().clone(),
        queued_at: request.job.queued_at,
    };
    let now = OffsetDateTime::now_utc();
    match stock.pool.ring(&ticket.id, &ring, now).await {
        // If the bell was written before, the first look shows what it says.
        Ok(_) => {}
        Err(error) if error.is_unknown() => {
            tracing::warn!(%error, "the bell tells whether it was rung");
        }
        Err(error) => {
            withdraw(stock, request, ticket, &task_arn).await;
            return Err(Cold::NotRung(error));
        }
    }
    answer(stock, request, (ticket, task_arn), started).await
}

/// Gives the task the tags that a task started for the job has.
async fn tag(stock: &Stock, request: &Request<'_>, task_arn: &str) -> Result<(), aws::Error> {
    let tags = placement::job_tags(request.job, &request.runner.name).into_iter();
    let tags = tags.map(|tag| Tag::builder().key(tag.key).value(tag.value).build());
    stock
        .ecs
        .tag_resource()
        .resource_arn(task_arn)
        .set_tags(Some(tags.collect()))
        .send()
        .await
        .map_err(|error| aws::Error::new("ecs:TagResource", task_arn, &error))?;
    Ok(())
}

/// Waits for the task's answer. If there is none in time, the ring is withdrawn, and whoever wrote the
/// bell last decides.
async fn answer(
    stock: &Stock,
    request: &Request<'_>,
    (ticket, task_arn): (&Ticket, String),
    started: Instant,
) -> Result<Adopted, Cold> {
    sleep(FIRST_LOOK).await;
    for _ in 0..LOOKS {
        let answer = match stock.pool.bell(&ticket.id).await {
            Ok(seen) => seen.map_or(Answer::Nothing, |seen| Answer::Bell(seen.bell)),
            Err(error) => {
                tracing::warn!(%error, "cannot read the bell");
                Answer::Unknown
            }
        };
        match on_answer(answer, started.elapsed()) {
            OnAnswer::Adopted => return Ok(Adopted { task_arn }),
            OnAnswer::GoCold => return Err(Cold::Leaving),
            OnAnswer::Withdraw => break,
            OnAnswer::LookAgain => sleep(PAUSE.min(LIMIT.saturating_sub(started.elapsed()))).await,
        }
    }
    match withdraw(stock, request, ticket, &task_arn).await {
        Start::Warm => Ok(Adopted { task_arn }),
        Start::Cold => Err(Cold::NoAnswer),
    }
}

/// Tells a claimed task to leave, unless it took the registration. Stops it only if the bell says
/// `leave` by this very call: then it has taken nothing and takes nothing any more.
async fn withdraw(stock: &Stock, request: &Request<'_>, ticket: &Ticket, task_arn: &str) -> Start {
    let mut withdrawn = Withdrawn::Undecided;
    for _ in 0..WITHDRAWALS {
        match stock
            .pool
            .withdraw(&ticket.id, OffsetDateTime::now_utc())
            .await
        {
            Ok(Withdrawal::Done) => {
                stop(stock, request, task_arn).await;
                withdrawn = Withdrawn::Done;
                break;
            }
            Ok(Withdrawal::Refused(bell)) => {
                withdrawn = Withdrawn::Refused(bell);
                break;
            }
            Err(error) => tracing::warn!(%error, "cannot withdraw from a warm task"),
        }
    }
    on_withdrawn(withdrawn)
}

/// Stops a task that was told to leave, in case it does not look at its bell. If this fails too,
/// `sweep` stops it.
async fn stop(stock: &Stock, request: &Request<'_>, task_arn: &str) {
    let stopped = stock
        .ecs
        .stop_task()
        .cluster(request.cluster)
        .task(task_arn)
        .reason("it did not answer a job")
        .send()
        .await;
    if let Err(error) = stopped {
        let error = aws::Error::new("ecs:StopTask", task_arn, &error);
        tracing::warn!(%error, "cannot stop a warm task that did not answer");
    }
}
