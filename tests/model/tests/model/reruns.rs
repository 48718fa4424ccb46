//! The second chance of an interrupted job: what holds, and that each rule is needed.

use model::reruns::{Mutation, Reruns};

use crate::check::{Found, search};

const TWO: &str = "there are two re-runs at most";
const RIGHT: &str = "nothing is re-run that failed by itself or was cancelled";
const NOT_LOST: &str = "a lost job that is not re-run has a note";
const OFF_SPOT: &str = "what is run again is not on Spot";

fn check(mutation: Option<Mutation>) -> Found {
    search(Reruns { mutation }, "an interrupted job", mutation)
}

#[test]
fn an_interrupted_job_gets_its_chance_and_no_other_does() {
    let found = check(None);
    assert!(found.failures.is_empty(), "see above");
    assert!(found.missed.is_empty(), "never: {:?}", found.missed);
}

#[test]
fn each_rule_of_the_second_chance_is_needed() {
    for (rule, property) in [
        (Mutation::TakesAnyEnd, RIGHT),
        (Mutation::KnowsNoBound, TWO),
        (Mutation::ForgetsTheAttempt, RIGHT),
        (Mutation::IsImpatient, NOT_LOST),
        (Mutation::IgnoresTheCancelled, RIGHT),
        (Mutation::StaysOnSpot, OFF_SPOT),
        (Mutation::ForgetsTheLoss, NOT_LOST),
        (Mutation::LooksFirst, NOT_LOST),
        (Mutation::TrustsSilence, RIGHT),
    ] {
        let failed = check(Some(rule)).failures;
        assert!(failed.contains(&property), "{rule:?}: {failed:?}");
    }
}
