//! How a world is explored.

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
    reduced: true,
};

/// What an exploration found.
pub(crate) struct Found {
    /// The properties that don't hold; the way to each is printed.
    pub(crate) failures: Vec<&'static str>,
    /// The different states.
    pub(crate) states: usize,
}

/// Explores a world, all of it or until a property fails.
pub(crate) fn check(scope: Scope, mutation: Option<Mutation>) -> Found {
    let model = Runners { scope, mutation };
    let sometimes: Vec<&str> = model
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
        "{} has more states than are explored",
        scope.name
    );
    let failures = checker
        .discoveries()
        .into_iter()
        .filter(|(name, _)| !sometimes.contains(name))
        .map(|(name, path)| {
            let steps: Vec<String> = path
                .into_actions()
                .iter()
                .enumerate()
                .map(|(step, action)| format!("  {:2} {action:?}", step + 1))
                .collect();
            println!("it doesn't hold that {name}:\n{}", steps.join("\n"));
            name
        })
        .collect();
    let states = checker.unique_state_count();
    println!(
        "{}{}: {states} states, {} steps between them",
        scope.name,
        mutation.map_or(String::new(), |left_out| format!(", without {left_out:?}")),
        checker.state_count()
    );
    Found { failures, states }
}

/// Explores all of a world, where every property has to hold.
pub(crate) fn explore(scope: Scope) -> usize {
    let found = check(scope, None);
    assert!(found.failures.is_empty(), "{}: see above", scope.name);
    found.states
}
