//! Reading the catalogue from ECS.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionError;
use aws_sdk_ecs::types::{TaskDefinitionFamilyStatus, TaskDefinitionField};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use time::OffsetDateTime;

use crate::{Catalogue, Offer};

/// How many task definitions are described at a time. ECS carries about 20 such calls a second for
/// the whole account ([throttling]): enough in flight that fifty families take a second or two, few
/// enough that one reader does not empty the bucket for the others.
///
/// [throttling]: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
const IN_FLIGHT: usize = 4;

/// Reads every active family whose name begins with `family_prefix`. `now` becomes the catalogue's
/// time. Throttled calls are repeated as the client is configured to.
pub async fn read(
    ecs: &Client,
    family_prefix: &str,
    now: OffsetDateTime,
) -> Result<Catalogue, aws::Error> {
    let families = families(ecs, family_prefix).await?;
    let offers = describe_all(ecs, families).await?;
    Ok(Catalogue {
        read_at: now,
        offers,
        turn: 0,
    })
}

/// In how many turns [`refresh`] describes every family.
pub const TURNS: u32 = 3;

/// Reads the families' names, and describes those that `known` does not have and a third of the others.
/// What it says of the rest stays, for two turns at most.
///
/// The names come in one call per hundred families, but each description is a call, and ECS throttles
/// those.
pub async fn refresh(
    ecs: &Client,
    family_prefix: &str,
    now: OffsetDateTime,
    known: &Catalogue,
) -> Result<Catalogue, aws::Error> {
    let turn = known.turn.wrapping_add(1);
    let is_due = |family: &str| turn_of(family) == turn % TURNS;
    let families = families(ecs, family_prefix).await?;
    let (kept, described): (Vec<_>, Vec<_>) = families.into_iter().partition(|family| {
        let is_known = |offer: &Offer| offer.definition.family == *family;
        !is_due(family) && known.offers.iter().any(is_known)
    });
    let mut offers = describe_all(ecs, described).await?;
    let stays = |offer: &&Offer| kept.contains(&offer.definition.family);
    offers.extend(known.offers.iter().filter(stays).cloned());
    offers.sort_by(|a, b| a.definition.family.cmp(&b.definition.family));
    Ok(Catalogue {
        read_at: now,
        offers,
        turn,
    })
}

/// The turn in which a family is described: the same whatever other families there are.
fn turn_of(family: &str) -> u32 {
    family.bytes().map(u32::from).sum::<u32>() % TURNS
}

async fn families(ecs: &Client, family_prefix: &str) -> Result<Vec<String>, aws::Error> {
    ecs.list_task_definition_families()
        .family_prefix(family_prefix)
        .status(TaskDefinitionFamilyStatus::Active)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .map_err(|error| {
            aws::Error::new(
                "ecs:ListTaskDefinitionFamilies",
                format!("family prefix {family_prefix:?}"),
                &error,
            )
        })
}

/// Describes the newest active revision of each family.
async fn describe_all(ecs: &Client, families: Vec<String>) -> Result<Vec<Offer>, aws::Error> {
    let described = families.len();
    let mut offers: Vec<Offer> = stream::iter(families)
        .map(|family| async move { describe(ecs, &family).await })
        .buffer_unordered(IN_FLIGHT)
        .try_filter_map(async |offer| Ok(offer))
        .try_collect()
        .await?;
    offers.sort_by(|a, b| a.definition.family.cmp(&b.definition.family));
    tracing::info!(
        families = described,
        offers = offers.len(),
        "read the task definitions from ECS"
    );
    Ok(offers)
}

/// Describes the newest active revision of a family.
async fn describe(ecs: &Client, family: &str) -> Result<Option<Offer>, aws::Error> {
    let answer = ecs
        .describe_task_definition()
        .task_definition(family)
        .include(TaskDefinitionField::Tags)
        .send()
        .await;
    match answer {
        Ok(answer) => {
            let offer = answer
                .task_definition()
                .and_then(|definition| Offer::of(family, definition, answer.tags()));
            if offer.is_none() {
                tracing::debug!(
                    family,
                    tag = crate::LABELS_TAG,
                    "skipping a task definition without a labels tag"
                );
            }
            Ok(offer)
        }
        // Deregistered since it was listed. One family less must not cost all the others.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DescribeTaskDefinitionError::is_client_exception) =>
        {
            tracing::warn!(family, "skipping a family without an active revision");
            Ok(None)
        }
        Err(error) => Err(aws::Error::new(
            "ecs:DescribeTaskDefinition",
            family,
            &error,
        )),
    }
}
