//! How a world is explored.

use std::fmt;
use std::hash::Hash;

use model::{FaultKind, Mutation, Runners, Scope};
use stateright::{Checker, HasDiscoveries, Model};

/// More states than any of the worlds here has: a bound, so that a mistake in the model ends.
const STATES_AT_MOST: usize = 30_000_000;

/// Two like jobs, and one thing of any kind goes wrong.
pub(crate) const ONE_FAULT: Scope = Scope {
    name: "",
    labels: &[1, 1],
    later: 0,
    faults: 1,
    kinds: FaultKind::ALL,
    cancels: 0,
    holds: 0,
    days: 0,
    reconciles: false,
    notes: false,
    reduced: true,
};

/// What an exploration found.
pub(crate) struct Found {
    /// The properties that don't hold; the way to each is printed.
    pub(crate) failures: Vec<&'static str>,
    /// The properties that have to hold in some state and do in none that was explored.
    pub(crate) missed: Vec<&'static str>,
    /// The different states.
    pub(crate) states: usize,
}

/// Explores a world, all of it or until a property fails.
pub(crate) fn check(scope: Scope, mutation: Option<Mutation>) -> Found {
    search(Runners { scope, mutation }, scope.name, mutation)
}

/// Explores the states of a model, all of them or until a property fails. `left_out` is the rule
/// that it omits.
pub(crate) fn search<M>(model: M, name: &str, left_out: Option<impl fmt::Debug>) -> Found
where
    M: Model<State: Clone + fmt::Debug + PartialEq + Hash + Send + Sync> + Send + Sync + 'static,
    M::Action: Clone + fmt::Debug + PartialEq,
{
    let sometimes: Vec<&'static str> = model
        .properties()
        .iter()
        .filter(|property| property.expectation == stateright::Expectation::Sometimes)
        .map(|property| property.name)
        .collect();
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(STATES_AT_MOST)
        .spawn_bfs()
        .join();
    assert!(
        checker.state_count() < STATES_AT_MOST,
        "{name} has more states than are explored"
    );
    let found = checker.discoveries();
    let missed = sometimes
        .iter()
        .copied()
        .filter(|property| !found.contains_key(property))
        .collect();
    let failures = found
        .into_iter()
        .filter(|(property, _)| !sometimes.contains(property))
        .map(|(property, path)| {
            let steps: Vec<String> = path
                .into_actions()
                .iter()
                .enumerate()
                .map(|(step, action)| format!("  {:2} {action:?}", step + 1))
                .collect();
            println!("it doesn't hold that {property}:\n{}", steps.join("\n"));
            property
        })
        .collect();
    let states = checker.unique_state_count();
    println!(
        "{name}{}: {states} states, {} steps between them",
        left_out.map_or(String::new(), |left_out| format!(", without {left_out:?}")),
        checker.state_count()
    );
    Found {
        failures,
        missed,
        states,
    }
}

/// Explores all of a world, where every property has to hold.
pub(crate) fn explore(scope: Scope) -> usize {
    let found = check(scope, None);
    assert!(found.failures.is_empty(), "{}: see above", scope.name);
    found.states
}
