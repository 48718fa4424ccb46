//! scratch
use model::*;
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Instant;
fn main() {
    let arg: Vec<String> = std::env::args().collect();
    let g = |i: usize, d: u8| arg.get(i).map_or(d, |s| s.parse().unwrap());
    let labels: &'static [u8] = match g(1, 0) {
        0 => &[1, 1],
        1 => &[3, 1],
        2 => &[1, 1, 1],
        3 => &[3, 1, 1],
        4 => &[3, 3, 1],
        5 => &[1],
        _ => &[3, 1, 2],
    };
    let kinds: &'static [FaultKind] = match g(6, 9) {
        0 => &[FaultKind::Webhooks],
        1 => &[FaultKind::Events],
        2 => &[FaultKind::Tasks],
        3 => &[FaultKind::Registrations],
        4 => &[FaultKind::Steps],
        5 => &[FaultKind::TimeOuts],
        6 => &[FaultKind::Aborts],
        _ => FaultKind::ALL,
    };
    let scope = Scope {
        name: "x",
        labels,
        later: g(2, 0).into(),
        faults: g(3, 0),
        kinds,
        cancels: g(4, 0),
        holds: g(5, 0),
        reduced: std::env::var("RED").is_ok(),
    };
    let mutation = match g(7, 0) {
        1 => Some(Mutation::EndsWithoutAsking),
        2 => Some(Mutation::NoDisplacedCheck),
        3 => Some(Mutation::NoRestart),
        4 => Some(Mutation::NoSweepOfWaiting),
        5 => Some(Mutation::StopsWhateverTheAnswer),
        6 => Some(Mutation::TrustsTheListing),
        7 => Some(Mutation::ClosedStaysClosed),
        8 => Some(Mutation::CleansByExecution),
        _ => None,
    };
    let t = Instant::now();
    let c = Runners { scope, mutation }
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(400_000_000)
        .spawn_bfs()
        .join();
    println!(
        "{labels:?} states {} unique {} depth {} in {:?}",
        c.state_count(),
        c.unique_state_count(),
        c.max_depth(),
        t.elapsed()
    );
    for (name, path) in c.discoveries() {
        println!("== {name}");
        if name.starts_with("a job is") || name.starts_with("all jobs") {
            continue;
        }
        let last = path.last_state().clone();
        for (i, a) in path.into_actions().iter().enumerate() {
            println!("  {:2} {a:?}", i + 1);
        }
        println!("  {last:?}");
    }
}
