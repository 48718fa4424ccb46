//! Whether the stock of warm tasks is right: as many ready tickets as wanted, each with a task of its
//! own that runs without a job.

use std::collections::BTreeSet;

use local_stack::Stocked;

use crate::site::{PREFIX, RUNNERS, Task};

/// What is wrong with the stock of each runner, one line each.
pub fn problems(stock: &[Stocked], tasks: &[Task], wanted: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut owned = BTreeSet::new();
    for ticket in stock {
        let name = &ticket.name;
        if ticket.state != "ready" {
            wrong.push(format!("stock {name} is {}", ticket.state));
            continue;
        }
        let task = tasks
            .iter()
            .find(|task| Some(&task.arn) == ticket.task.as_ref());
        match task {
            Some(task) if !task.runs => wrong.push(format!("stock {name} has a task that ended")),
            Some(task) if task.runner.is_some() => {
                wrong.push(format!("stock {name} has the task of a runner"));
            }
            Some(task) if !owned.insert(&task.arn) => {
                wrong.push(format!("stock {name} has the task of another ticket"));
            }
            Some(_) => {}
            None => wrong.push(format!("stock {name} has no task")),
        }
    }
    for runner in RUNNERS {
        let family = format!("{PREFIX}-{runner}/");
        let there = stock
            .iter()
            .filter(|ticket| ticket.name.starts_with(&family));
        let count = there.count();
        if count != wanted {
            wrong.push(format!("stock {family} has {count} tickets of {wanted}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(runner: &str, number: usize) -> Stocked {
        Stocked {
            name: format!("chaos-{runner}/{number:02}"),
            state: "ready".to_owned(),
            task: Some(format!("arn:{runner}:{number}")),
        }
    }

    fn task(of: &Stocked) -> Task {
        Task {
            id: of.name.clone(),
            arn: of.task.clone().unwrap(),
            runs: true,
            warm: true,
            runner: None,
        }
    }

    fn full() -> (Vec<Stocked>, Vec<Task>) {
        let of = |runner| (0..2).map(move |number| ticket(runner, number));
        let stock: Vec<_> = RUNNERS.into_iter().flat_map(of).collect();
        let tasks = stock.iter().map(task).collect();
        (stock, tasks)
    }

    #[test]
    fn a_full_stock_is_right() {
        let (stock, tasks) = full();
        assert_eq!(problems(&stock, &tasks, 2), Vec::<String>::new());
    }

    #[test]
    fn whatever_is_wrong_with_a_ticket_is_told() {
        type Change = fn(&mut Vec<Stocked>, &mut Vec<Task>);
        let cases: [(Change, &str); 6] = [
            (
                |stock, _| drop(stock.remove(0)),
                "chaos-small/ has 1 tickets of 2",
            ),
            (
                |stock, _| stock[0].state = "started".to_owned(),
                "is started",
            ),
            (|_, tasks| tasks[0].runs = false, "has a task that ended"),
            (|_, tasks| drop(tasks.remove(0)), "has no task"),
            (
                |_, tasks| tasks[0].runner = Some("ch-seed1-one-7".to_owned()),
                "has the task of a runner",
            ),
            (
                |stock, _| stock[1].task = stock[0].task.clone(),
                "has the task of another ticket",
            ),
        ];
        for (change, expected) in cases {
            let (mut stock, mut tasks) = full();
            change(&mut stock, &mut tasks);
            let found = problems(&stock, &tasks, 2);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(expected), "{found:?}");
        }
    }
}
