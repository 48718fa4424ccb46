//! Reports a run.

use std::fmt::Write as _;

use local_stack::Execution;
use tooling::seconds;

use crate::account::{Account, End};
use crate::play::{Explained, Played, described, executions_of};
use crate::schedule::Schedule;
use crate::site::Site;

/// Maximum number of problems shown; the rest is counted.
const SHOWN: usize = 12;

/// Share of the faults in the way of jobs that ended badly or waited long which `why` has to name, in
/// percent. One may be missing: of a dozen faults, each is more than what may be.
const NAMED: usize = 95;

/// What `why` named, for one line, and whether that is enough.
pub fn named<'a>(all: impl IntoIterator<Item = &'a Explained>) -> (String, bool) {
    let (mut jobs, mut faults, mut named) = (0, 0, 0);
    for one in all {
        jobs += one.jobs;
        faults += one.faults;
        named += one.named;
    }
    // Without a fault there is nothing to name.
    let share = (100 * named).checked_div(faults).unwrap_or(100);
    let line = format!(
        "why named {named} of {faults} faults ({share} %) of {jobs} jobs that ended badly or waited long"
    );
    let enough = 100 * named >= NAMED * faults || named + 1 >= faults;
    (line, enough)
}

/// One line per seed: `seed 7: well`.
pub fn verdict(seed: u64, account: &Account) -> String {
    let Some(first) = account.problems.first() else {
        return format!("seed {seed}: well");
    };
    let count = account.problems.len();
    let others = if count > 1 {
        format!(", and {} more", count - 1)
    } else {
        String::new()
    };
    format!("seed {seed}: NOT well: {}{others}", first.what)
}

/// Prints a run's table and, for each problem, the job and its executions.
pub async fn show(
    site: &Site,
    schedule: &Schedule,
    played: &Played,
    account: &Account,
) -> anyhow::Result<()> {
    println!("{}", table(schedule, played, account));
    for line in &played.explained.without {
        println!("  no known fault: {line}");
    }
    for missed in &played.explained.missed {
        println!("\n? {missed}");
    }
    for problem in account.problems.iter().take(SHOWN) {
        println!("\n✘ {}", problem.what);
        let Some(first) = &problem.execution else {
            continue;
        };
        for one in played
            .facts
            .jobs
            .iter()
            .filter(|one| one.execution == *first)
        {
            println!("  job {} is {}", one.job.id, described(&one.job));
        }
        for name in executions_of(first) {
            let Some(execution) = site.observer.execution(&name).await? else {
                break;
            };
            print!("{}", history(&name, &execution));
        }
    }
    if let Some(more) = account.problems.len().checked_sub(SHOWN + 1) {
        println!("\n… and {} more", more + 1);
    }
    Ok(())
}

fn table(schedule: &Schedule, played: &Played, account: &Account) -> String {
    let left = |kind: &str| {
        let lines = played.facts.left.iter();
        lines.filter(|line| line.starts_with(kind)).count()
    };
    let rows = [
        ("jobs", schedule.jobs.len()),
        ("run once to their end", account.ended(End::Run)),
        ("cancelled", account.ended(End::Cancelled)),
        ("killed in the run", account.ended(End::Killed)),
        ("left queued by an abort", account.ended(End::Abandoned)),
        ("failed by themselves", account.ended(End::Failed)),
        ("lost", account.ended(End::Lost)),
        ("run more than once", account.repeated),
        ("busy runners ended by us", account.robbed),
        ("executions open", left("execution ")),
        ("parameters left", left("parameter ")),
        ("registrations left", left("runner ")),
        ("tasks left", left("task ")),
        ("calls not granted", played.facts.denied.len()),
        ("wrong with the stock", left("stock ")),
        ("warm tasks started", played.facts.stocked),
        ("runners on warm tasks", played.facts.adopted.len()),
        ("runners on cold tasks", played.facts.started),
        ("surplus runners", account.surplus),
    ];
    let mut text = String::new();
    for (name, count) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<26}{count:>6}");
    }
    let [lost, doubled, late, refused] = played.announcements;
    let (rounds, incomplete) = played.rounds;
    let (mut faults, mut hits) = (0, 0);
    let mut kinds = Vec::new();
    for (kind, (ordered, hit)) in &played.faults {
        faults += ordered;
        hits += hit;
        kinds.push(format!("{kind} {ordered}/{hit}"));
    }
    let _ = writeln!(
        text,
        "  announcements lost {lost}, doubled {doubled}, late {late}, refused {refused}"
    );
    let _ = writeln!(
        text,
        "  faults ordered {faults}, hits {hits}: {}",
        kinds.join(", ")
    );
    let _ = writeln!(text, "  sweeps {rounds}, incomplete {incomplete}");
    let (line, _) = named([&played.explained]);
    let without = played.explained.without.len();
    let _ = writeln!(text, "  {line}; {without} more without a known fault");
    let _ = write!(text, "  time {}", seconds(played.took));
    text
}

/// An execution's history, state by state.
fn history(name: &str, execution: &Execution) -> String {
    let error = execution.error.as_deref().unwrap_or_default();
    let mut text = format!("  execution {name}: {} {error}\n", execution.status);
    for visit in &execution.visits {
        let entered = visit.entered - execution.began;
        let tries = visit.tries;
        let outcome: String = visit
            .outcome()
            .replace('\n', " ")
            .chars()
            .take(160)
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    {entered:>7.2} s {:<14} {tries}× {outcome}",
            visit.state
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Problem;

    #[test]
    fn nineteen_of_twenty_are_enough() {
        let explained = |named| Explained {
            jobs: 10,
            faults: 20,
            named,
            ..Explained::default()
        };
        assert!(named([&explained(19)]).1);
        assert!(!named([&explained(18)]).1);
        assert!(named([&explained(18), &explained(20)]).1);
        assert!(named([]).1);
    }

    #[test]
    fn the_verdict_names_the_seed_and_the_first_problem() {
        let mut account = Account::default();
        assert_eq!(verdict(7, &account), "seed 7: well");
        let problem = |what: &str| Problem {
            what: what.to_owned(),
            execution: None,
        };
        account.problems.push(problem("job-001 was lost"));
        assert_eq!(verdict(7, &account), "seed 7: NOT well: job-001 was lost");
        account.problems.push(problem("left over: task x"));
        assert_eq!(
            verdict(7, &account),
            "seed 7: NOT well: job-001 was lost, and 1 more"
        );
    }
}
