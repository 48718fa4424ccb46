//! Leases and the line of the caps: one item ([`decisions::Slots`]).
//!
//! A lease is an attribute of its own, and so is a place in line. Counts stand beside them, so that a
//! write can take a slot without having read the item: its condition is
//! [`takes_at_once`](decisions::Slots::takes_at_once). A write that depends on more names the version
//! that was read.
//!
//! | attribute | contents |
//! |---|---|
//! | `h:<execution>` | a lease: attempt, repository, offer, taken, ends |
//! | `w:<execution>` | a place in line: repository, offer, queued, joined |
//! | `n`, `r:<owner/name>`, `o:<family>` | leases: all, of a repository, of an offer |
//! | `q` | executions in line |
//! | `t:<owner/name>` | when the repository last had its turn |
//! | `caps` | the caps, as `sweep` wrote them; with others a write has to read the item |
//! | `v` | version |

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::time::Duration;

use aws::SdkConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};
use decisions::{Caps, InLine, Lease, Place, Seeker, Slots};
use protocol::ExecutionName;
use protocol::bell::EXPIRES;
use runtime::settings::{Settings, Variable};
use serde::Deserialize;

use crate::item::{Item, get_number, get_text, key, number, text};
use crate::{Error, Pool};

/// The caps' variable.
pub const CAPS: Variable = Variable::optional(
    "CAPS",
    "JSON: how many runners may run at once, and the DynamoDB table of their leases; the CDK app writes it from `maxRunning` and the like",
);

/// Partition and sort key of the item.
const KEY: &str = "slots";
const VERSION: &str = "v";
const LEASES: &str = "n";
const WAITING: &str = "q";
const RECORDED: &str = "caps";
const LEASE: &str = "h:";
const IN_LINE: &str = "w:";
const TURN: &str = "t:";
const OF_REPOSITORY: &str = "r:";
const OF_OFFER: &str = "o:";
/// How long the table keeps the item after its last lease has ended.
const KEPT: u64 = 7 * 24 * 60 * 60;

/// The value of [`CAPS`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Setting {
    table: String,
    /// Longer than a task can run.
    lease_seconds: u64,
    caps: Caps,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let setting: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let caps = &setting.caps;
        let each = caps.repositories.values().chain(caps.offers.values());
        let mut limits = each.chain(&caps.deployment).chain(&caps.repository);
        if limits.any(|limit| *limit == 0) {
            return Err("a cap of 0 would run nothing; use 1 or more".to_owned());
        }
        Ok(setting)
    }
}

/// A deployment's caps and the table with their leases.
#[derive(Clone, Debug)]
pub struct Capped {
    pub pool: Pool,
    pub caps: Caps,
    /// How long a lease lasts if nobody gives it back.
    pub lease: Duration,
}

impl Capped {
    /// The caps of these settings; `None` without caps.
    pub fn from_settings(
        settings: &Settings,
        aws: &SdkConfig,
    ) -> Result<Option<Self>, runtime::settings::Error> {
        if settings.maybe(&CAPS).is_none() {
            return Ok(None);
        }
        let setting: Setting = settings.parsed(&CAPS)?;
        Ok(Some(Self {
            pool: Pool::of(aws, setting.table),
            caps: setting.caps,
            lease: Duration::from_secs(setting.lease_seconds),
        }))
    }
}

/// What became of a conditional write of the item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Tried {
    Done,
    /// Nothing was written; this is the item.
    Refused(Box<Slots>),
}

impl Pool {
    /// Reads the item consistently.
    pub async fn slots(&self) -> Result<Slots, Error> {
        let item = self.get(key(KEY, KEY), KEY).await?;
        Ok(item.as_ref().map(read).unwrap_or_default())
    }

    /// Takes a slot if nobody waits and there is room under every cap, in one call.
    pub async fn take_slot(&self, seeker: &Seeker, caps: &Caps, now: u64) -> Result<Tried, Error> {
        let Place { repository, offer } = &seeker.at;
        let mut conditions = vec![
            "attribute_not_exists(#lease)".to_owned(),
            "(attribute_not_exists(#waiting) OR #waiting = :zero)".to_owned(),
            "(attribute_not_exists(#caps) OR #caps = :caps)".to_owned(),
        ];
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(KEY, KEY)))
            .update_expression("SET #lease = :lease, #turn = :now, #expires = :expires ADD #all :one, #repository :one, #offer :one, #version :one")
            .expression_attribute_names("#lease", format!("{LEASE}{}", seeker.execution))
            .expression_attribute_names("#waiting", WAITING)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_names("#all", LEASES)
            .expression_attribute_names("#repository", format!("{OF_REPOSITORY}{repository}"))
            .expression_attribute_names("#offer", format!("{OF_OFFER}{offer}"))
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_names("#caps", RECORDED)
            .expression_attribute_names("#turn", format!("{TURN}{repository}"))
            .expression_attribute_values(":caps", text(&recorded(caps)))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":lease", lease(&Lease {
                attempt: seeker.attempt,
                at: seeker.at.clone(),
                since: now,
                until: seeker.until,
            }))
            .expression_attribute_values(":expires", number(seeker.until + KEPT))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1));
        let limits = [
            ("#all", ":of_all", Some(caps.of_deployment())),
            (
                "#repository",
                ":of_repository",
                caps.of_repository(repository),
            ),
            ("#offer", ":of_offer", caps.of_offer(offer)),
        ];
        for (name, value, limit) in limits {
            if let Some(limit) = limit {
                conditions.push(format!(
                    "(attribute_not_exists({name}) OR {name} < {value})"
                ));
                update = update.expression_attribute_values(value, number(limit.into()));
            }
        }
        let answer = update
            .condition_expression(conditions.join(" AND "))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        updated(answer.map(drop))
    }

    /// Joins the line. It is no error to stand in it, or to have a lease, already.
    pub async fn join_line(&self, seeker: &Seeker, now: u64) -> Result<Tried, Error> {
        let entry = InLine {
            at: seeker.at.clone(),
            queued: seeker.queued,
            since: now,
        };
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(KEY, KEY)))
            .update_expression(
                "SET #place = :place, #expires = :expires ADD #waiting :one, #version :one",
            )
            .condition_expression("attribute_not_exists(#place) AND attribute_not_exists(#lease)")
            .expression_attribute_names("#place", format!("{IN_LINE}{}", seeker.execution))
            .expression_attribute_names("#lease", format!("{LEASE}{}", seeker.execution))
            .expression_attribute_names("#waiting", WAITING)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":place", in_line(&entry))
            .expression_attribute_values(":expires", number(seeker.until + KEPT))
            .expression_attribute_values(":one", number(1))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        updated(answer.map(drop))
    }

    /// Gives the lease of this attempt back, in one call. Refused if there is none of this attempt:
    /// what else there is of the execution, [`decisions::release_slot`] tells.
    pub async fn give_slot_back(
        &self,
        execution: &ExecutionName,
        attempt: u32,
        at: &Place,
    ) -> Result<Tried, Error> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(KEY, KEY)))
            .update_expression(
                "REMOVE #lease ADD #all :less, #repository :less, #offer :less, #version :one",
            )
            .condition_expression("#lease.#attempt = :attempt")
            .expression_attribute_names("#lease", format!("{LEASE}{execution}"))
            .expression_attribute_names("#attempt", "a")
            .expression_attribute_names("#all", LEASES)
            .expression_attribute_names("#repository", format!("{OF_REPOSITORY}{}", at.repository))
            .expression_attribute_names("#offer", format!("{OF_OFFER}{}", at.offer))
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":attempt", number(attempt.into()))
            .expression_attribute_values(":less", AttributeValue::N("-1".to_owned()))
            .expression_attribute_values(":one", number(1))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        updated(answer.map(drop))
    }

    /// Replaces the item if it still has the version that was read.
    pub async fn put_slots(&self, before: &Slots, next: &Slots, now: u64) -> Result<Tried, Error> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(next, now)))
            .expression_attribute_names("#version", VERSION)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        put = if before.version == 0 {
            put.condition_expression("attribute_not_exists(#version)")
        } else {
            put.condition_expression("#version = :version")
                .expression_attribute_values(":version", number(before.version))
        };
        let answer = put.send().await;
        if let Err(SdkError::ServiceError(error)) = &answer
            && let PutItemError::ConditionalCheckFailedException(failed) = error.err()
        {
            return Ok(refused(failed));
        }
        match answer {
            Ok(_) => Ok(Tried::Done),
            Err(error) => Err(Error::of("dynamodb:PutItem", KEY, &error)),
        }
    }
}

/// Sorts the answer to a conditional update.
fn updated<R>(answer: Result<(), SdkError<UpdateItemError, R>>) -> Result<Tried, Error> {
    if let Err(SdkError::ServiceError(error)) = &answer
        && let UpdateItemError::ConditionalCheckFailedException(failed) = error.err()
    {
        return Ok(refused(failed));
    }
    match answer {
        Ok(()) => Ok(Tried::Done),
        Err(error) => Err(Error::of("dynamodb:UpdateItem", KEY, &error)),
    }
}

fn refused(failed: &ConditionalCheckFailedException) -> Tried {
    Tried::Refused(Box::new(failed.item().map(read).unwrap_or_default()))
}

fn map<const N: usize>(fields: [(&str, AttributeValue); N]) -> AttributeValue {
    let fields = fields.into_iter();
    AttributeValue::M(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn lease(lease: &Lease) -> AttributeValue {
    map([
        ("a", number(lease.attempt.into())),
        ("r", text(&lease.at.repository)),
        ("o", text(&lease.at.offer)),
        ("s", number(lease.since)),
        ("u", number(lease.until)),
    ])
}

fn in_line(one: &InLine) -> AttributeValue {
    map([
        ("r", text(&one.at.repository)),
        ("o", text(&one.at.offer)),
        ("q", number(one.queued)),
        ("s", number(one.since)),
    ])
}

fn place(item: &Item) -> Option<Place> {
    Some(Place {
        repository: get_text(item, "r")?.to_owned(),
        offer: get_text(item, "o")?.to_owned(),
    })
}

fn read_lease(item: &Item) -> Option<Lease> {
    Some(Lease {
        attempt: get_number(item, "a")?,
        at: place(item)?,
        since: get_number(item, "s")?,
        until: get_number(item, "u")?,
    })
}

fn read_in_line(item: &Item) -> Option<InLine> {
    Some(InLine {
        at: place(item)?,
        queued: get_number(item, "q")?,
        since: get_number(item, "s")?,
    })
}

/// The attributes whose names begin so, by the rest of their names.
fn each<'a, K: FromStr + Ord, V>(
    item: &'a Item,
    prefix: &str,
    value: impl Fn(&'a AttributeValue) -> Option<V>,
) -> BTreeMap<K, V> {
    let of = |(name, found): (&String, &'a AttributeValue)| {
        Some((name.strip_prefix(prefix)?.parse().ok()?, value(found)?))
    };
    item.iter().filter_map(of).collect()
}

fn read(item: &Item) -> Slots {
    let within =
        |read: fn(&Item) -> Option<Lease>| each(item, LEASE, move |value| read(value.as_m().ok()?));
    Slots {
        version: get_number(item, VERSION).unwrap_or_default(),
        leases: within(read_lease),
        line: each(item, IN_LINE, |value| read_in_line(value.as_m().ok()?)),
        turns: each(item, TURN, |value| value.as_n().ok()?.parse().ok()),
        caps: get_text(item, RECORDED).and_then(|caps| serde_json::from_str(caps).ok()),
    }
}

/// Caps as `sweep` records them. Equal ones are equal texts: their names are in order.
fn recorded(caps: &Caps) -> String {
    // The type has only fields that JSON can represent.
    serde_json::to_string(caps).unwrap_or_default()
}

fn item(slots: &Slots, now: u64) -> Item {
    let mut item = key(KEY, KEY);
    let mut counts: HashMap<String, u64> = HashMap::new();
    for (execution, one) in &slots.leases {
        item.insert(format!("{LEASE}{execution}"), lease(one));
        for counted in [
            format!("{OF_REPOSITORY}{}", one.at.repository),
            format!("{OF_OFFER}{}", one.at.offer),
        ] {
            *counts.entry(counted).or_default() += 1;
        }
    }
    for (execution, one) in &slots.line {
        item.insert(format!("{IN_LINE}{execution}"), in_line(one));
    }
    let turns = slots.turns.iter();
    counts.extend(turns.map(|(repository, turn)| (format!("{TURN}{repository}"), *turn)));
    counts.insert(LEASES.to_owned(), slots.leases.len() as u64);
    counts.insert(WAITING.to_owned(), slots.line.len() as u64);
    counts.insert(VERSION.to_owned(), slots.version);
    let last = slots.leases.values().map(|lease| lease.until).max();
    counts.insert(EXPIRES.to_owned(), last.unwrap_or(now).max(now) + KEPT);
    item.extend(
        counts
            .into_iter()
            .map(|(name, count)| (name, number(count))),
    );
    if let Some(caps) = &slots.caps {
        item.insert(RECORDED.to_owned(), text(&recorded(caps)));
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Slots {
        let at = Place {
            repository: "octo/hello".to_owned(),
            offer: "fargate-runners-ubuntu".to_owned(),
        };
        Slots {
            version: 7,
            leases: BTreeMap::from([(
                "hello-1".parse().unwrap(),
                Lease {
                    attempt: 2,
                    at: at.clone(),
                    since: 10,
                    until: 20,
                },
            )]),
            line: BTreeMap::from([(
                "hello-2-r2".parse().unwrap(),
                InLine {
                    at,
                    queued: 5,
                    since: 6,
                },
            )]),
            turns: BTreeMap::from([("octo/hello".to_owned(), 3)]),
            caps: Some(Caps {
                deployment: Some(1),
                ..Caps::default()
            }),
        }
    }

    #[test]
    fn slots_read_back_from_their_item() {
        for slots in [slots(), Slots::default()] {
            assert_eq!(read(&item(&slots, 100)), slots);
        }
    }

    #[test]
    fn a_setting_that_makes_no_sense_says_what_is_wrong() {
        let good = r#"{"table":"t","leaseSeconds":60,"caps":{"deployment":2,"offers":{"f":1}}}"#;
        assert_eq!(good.parse::<Setting>().unwrap().caps.deployment, Some(2));
        for (bad, said) in [
            (good.replace(":2", ":0"), "use 1 or more"),
            (good.replace(r#"{"f":1}"#, r#"{"f":0}"#), "use 1 or more"),
            (good.replace("deployment", "deployments"), "unknown field"),
            (good.replace(r#""table":"t","#, ""), "missing field"),
            (good.replace(":2", ":-2"), "invalid value"),
            ("2".to_owned(), "invalid type"),
        ] {
            let problem = bad.parse::<Setting>().unwrap_err();
            assert!(problem.contains(said), "{bad}: {problem}");
        }
    }
}
