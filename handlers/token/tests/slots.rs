//! Slots of caps, over a table: the write without a look is the rule of `decisions`, and `token` waits or
//! goes on as the rules say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_in_memory::Aws;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use decisions::{Caps, Place, Seeker, SlotAwaited, Slots, release_slot, repair_slots};
use pool::{Capped, Pool, Tried};
use runtime::telemetry::Metrics;
use serde_json::json;
use time::OffsetDateTime;
use token::slot::take;
use token::{Error, Input};

const NOW: u64 = 1_767_225_600;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(NOW).unwrap()).unwrap()
}

fn caps(deployment: Option<u32>, repository: Option<u32>, offer: Option<u32>) -> Caps {
    Caps {
        deployment,
        repository,
        repositories: BTreeMap::new(),
        offers: offer.map(|cap| ("f".to_owned(), cap)).into_iter().collect(),
    }
}

fn capped(pool: Pool, caps: Caps) -> Capped {
    Capped {
        pool,
        caps,
        lease: Duration::from_hours(9),
    }
}

fn input(job: u64, repository: &str, attempt: u32, waited: bool) -> Input {
    let name = repository.split('/').nth(1).unwrap();
    let suffix = if attempt == 1 {
        String::new()
    } else {
        format!("-a{attempt}")
    };
    let runner = format!("fr-{name}-{job}{suffix}");
    let mut input = json!({
        "order": { "job": {
            "id": job, "runId": 1, "runAttempt": 1, "name": "build", "repository": repository,
            "ownerType": "Organization", "private": true, "labels": ["linux"],
            "installationId": null, "queuedAt": "2026-01-01T00:00:00Z"
        } },
        "runner": {
            "name": runner, "labels": ["linux"],
            "parameter": format!("/fargate-runners/runners/{runner}/0123456789abcdef0123456789abcdef")
        },
        "match": {
            "family": "f", "offered": ["linux"], "cpu": null, "memory": null, "architecture": null
        }
    });
    if waited {
        input["slot"] = json!({ "detail": "waits", "waitSeconds": 10 });
    }
    serde_json::from_value(input).unwrap()
}

async fn takes(capped: &Capped, input: &Input) -> Result<(), SlotAwaited> {
    match take(capped, input, &Metrics::new(&"fr"), now()).await {
        Ok(()) => Ok(()),
        Err(Error::NoFreeSlot(awaited)) => Err(*awaited),
        Err(error) => panic!("{error}"),
    }
}

fn calls(aws: &Aws) -> Vec<String> {
    let calls = aws.calls();
    aws.state().calls.clear();
    calls
}

#[tokio::test]
async fn a_free_slot_takes_one_call_and_a_wait_two_then_one_for_each_look() {
    let aws = Aws::new();
    let capped = capped(aws.pool(), caps(Some(1), None, None));
    takes(&capped, &input(1, "octo/a", 1, false)).await.unwrap();
    assert_eq!(calls(&aws), ["dynamodb:UpdateItem slots"]);
    // Step Functions repeats the step.
    takes(&capped, &input(1, "octo/a", 1, false)).await.unwrap();
    assert_eq!(calls(&aws), ["dynamodb:UpdateItem slots"]);

    let waits = takes(&capped, &input(2, "octo/B", 1, false))
        .await
        .unwrap_err();
    assert_eq!(
        waits.detail,
        "waits for a slot of the deployment: at most 1 at once, place 1 of 1 in line"
    );
    assert_eq!(waits.place, Some(1));
    assert_eq!(calls(&aws).len(), 2, "a try and a place in line");
    let waits = takes(&capped, &input(2, "octo/B", 1, true))
        .await
        .unwrap_err();
    assert_eq!(waits.place, Some(1));
    assert_eq!(calls(&aws), ["dynamodb:GetItem slots"]);

    let slots = capped.pool.slots().await.unwrap();
    let left = release_slot(&slots, &"a-1".parse().unwrap(), None).unwrap();
    assert_eq!(
        capped.pool.put_slots(&slots, &left, NOW).await.unwrap(),
        Tried::Done
    );
    // Somebody new does not pass.
    takes(&capped, &input(3, "octo/b", 1, false))
        .await
        .unwrap_err();
    calls(&aws);
    takes(&capped, &input(2, "octo/B", 1, true)).await.unwrap();
    assert_eq!(
        calls(&aws),
        ["dynamodb:GetItem slots", "dynamodb:PutItem slots"]
    );
    let slots = capped.pool.slots().await.unwrap();
    let lease = slots.leases.values().next().unwrap();
    assert_eq!(lease.at.repository, "octo/b", "GitHub ignores case");
    assert_eq!(lease.until, NOW + 9 * 3_600);
}

#[tokio::test]
async fn a_job_that_no_cap_concerns_makes_no_call() {
    let aws = Aws::new();
    let mut only = caps(None, None, None);
    only.offers = BTreeMap::from([("large".to_owned(), 1)]);
    takes(&capped(aws.pool(), only), &input(1, "octo/a", 1, false))
        .await
        .unwrap();
    assert_eq!(calls(&aws), Vec::<String>::new());
}

#[tokio::test]
async fn the_next_attempt_goes_on_with_a_lease_that_was_not_given_back() {
    let aws = Aws::new();
    let capped = capped(aws.pool(), caps(Some(1), None, None));
    takes(&capped, &input(1, "octo/a", 1, false)).await.unwrap();
    takes(&capped, &input(1, "octo/a", 2, false)).await.unwrap();
    let execution = "a-1".parse().unwrap();
    let at = Place {
        repository: "octo/a".to_owned(),
        offer: "f".to_owned(),
    };
    // The first attempt's return comes late.
    let late = capped
        .pool
        .give_slot_back(&execution, 1, &at)
        .await
        .unwrap();
    assert!(matches!(late, Tried::Refused(slots) if slots.leases.len() == 1));
    let own = capped
        .pool
        .give_slot_back(&execution, 2, &at)
        .await
        .unwrap();
    assert_eq!(own, Tried::Done);
    assert!(capped.pool.slots().await.unwrap().leases.is_empty());
}

#[tokio::test]
async fn without_an_answer_a_job_waits_and_without_the_table_it_goes_on() {
    let fails = |code: &'static str| {
        let metadata = move || ErrorMetadata::builder().code(code).build();
        let update = mock!(aws_sdk_dynamodb::Client::update_item)
            .then_error(move || UpdateItemError::generic(metadata()));
        let get = mock!(aws_sdk_dynamodb::Client::get_item)
            .then_error(move || GetItemError::generic(metadata()));
        let client = mock_client!(
            aws_sdk_dynamodb,
            RuleMode::MatchAny,
            [&update, &get],
            |config| config.retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        );
        capped(Pool::over(client, "table"), caps(Some(1), None, None))
    };
    for waited in [false, true] {
        let input = input(1, "octo/a", 1, waited);
        for code in [
            "InternalServerError",
            "ThrottlingException",
            "ValidationException",
        ] {
            let waits = takes(&fails(code), &input).await.unwrap_err();
            assert_eq!(waits.wait_seconds, 30, "{code}");
            assert_eq!(
                waits.detail,
                "waits for a slot: the table of slots does not answer"
            );
        }
        for code in ["ResourceNotFoundException", "AccessDeniedException"] {
            takes(&fails(code), &input).await.unwrap();
        }
    }
}

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn cap(&mut self) -> Option<u32> {
        u32::try_from(self.below(4)).ok().filter(|cap| *cap > 0)
    }
}

/// Plays writes against the table and against the rules: both have the same slots after each.
#[tokio::test]
async fn the_tables_conditions_are_the_rules() {
    let mut numbers = Numbers(7);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..60 {
        let deployments = [0, 1].map(|_| caps(numbers.cap(), numbers.cap(), numbers.cap()));
        let pool = Aws::new().pool();
        let mut expected = Slots::default();
        for _ in 0..40 {
            let job = numbers.below(8);
            let name = ["a", "b"][usize::try_from(job % 2).unwrap()];
            let seeker = Seeker {
                execution: format!("{name}-{job}").parse().unwrap(),
                attempt: u32::try_from(1 + numbers.below(2)).unwrap(),
                at: Place {
                    repository: format!("octo/{name}"),
                    offer: ["f", "g"][usize::try_from(job / 2 % 2).unwrap()].to_owned(),
                },
                queued: job,
                until: NOW + 60,
            };
            let caps = &deployments[usize::from(numbers.below(4) == 0)];
            match numbers.below(11) {
                0..5 => {
                    let free = expected.takes_at_once(&seeker, caps);
                    if free {
                        expected = expected.with_lease(&seeker, NOW);
                        taken += 1;
                    } else {
                        refused += 1;
                    }
                    match pool.take_slot(&seeker, caps, NOW).await.unwrap() {
                        Tried::Done => assert!(free, "{expected:?} {caps:?} {seeker:?}"),
                        Tried::Refused(slots) => {
                            assert!(!free, "{expected:?} {caps:?} {seeker:?}");
                            assert_eq!(*slots, expected);
                        }
                    }
                }
                5..8 => {
                    let lease = expected.leases.get(&seeker.execution);
                    let own = lease.is_some_and(|lease| lease.attempt == seeker.attempt);
                    if own {
                        expected.leases.remove(&seeker.execution);
                        expected.version += 1;
                    }
                    let given = pool.give_slot_back(&seeker.execution, seeker.attempt, &seeker.at);
                    assert_eq!(given.await.unwrap() == Tried::Done, own);
                }
                8 => {
                    let joined = pool.join_line(&seeker, NOW).await.unwrap() == Tried::Done;
                    let stands = expected.line.contains_key(&seeker.execution)
                        || expected.leases.contains_key(&seeker.execution);
                    assert_eq!(joined, !stands);
                    expected = pool.slots().await.unwrap();
                }
                kind => {
                    let next = if kind == 9 {
                        release_slot(&expected, &seeker.execution, None)
                    } else {
                        repair_slots(&expected, &BTreeSet::new(), caps, NOW)
                    };
                    if let Some(next) = next {
                        let put = pool.put_slots(&expected, &next, NOW).await.unwrap();
                        assert_eq!(put, Tried::Done);
                        // What was read before is out of date.
                        let again = pool.put_slots(&expected, &next, NOW).await.unwrap();
                        assert_eq!(again, Tried::Refused(Box::new(next.clone())));
                        expected = next;
                    }
                }
            }
            assert_eq!(pool.slots().await.unwrap(), expected);
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} {refused}");
}
