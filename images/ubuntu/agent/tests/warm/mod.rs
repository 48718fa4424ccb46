//! A warm task, from its start to the listener or to its end without one.

use std::sync::atomic::AtomicUsize;

use decisions::AgentExit;

use super::support::{
    Agent, Aws, BELL, Home, Mood, PARAMETER, TABLE, exists, jit, jit_config, until,
};
use super::{HOOK, LISTENING, NOTED, RUNNING, completed, script};

/// A listener that warms up at once and runs one job.
fn listener() -> Home {
    warming("exit 0")
}

/// A listener that warms up so, and then runs one job.
fn warming(warm_up: &str) -> Home {
    let warm_up = format!("[ \"$1\" = warmup ] && {{ {warm_up}; }}");
    let lines = [
        &warm_up,
        "env >job",
        LISTENING,
        RUNNING,
        &completed("Succeeded"),
    ];
    script(&lines)
}

fn in_mood(mood: Mood) -> Aws {
    Aws::in_mood(&jit(), mood)
}

/// The agent's calls, without those that repeat and those of the warm-up.
fn taken(aws: &Aws) -> Vec<String> {
    let mut calls = aws.calls();
    calls.retain(|call| !["credentials", "GetItem"].contains(&call.as_str()));
    if let Some(warm_up) = calls.iter().position(|call| call == "bin/Runner.Listener") {
        calls.remove(warm_up);
    }
    calls
}

const TAKEN: [&str; 4] = [
    "UpdateItem",
    "GetParameter",
    "DeleteParameter",
    "bin/Runner.Listener",
];

/// Waits until the task has looked at its bell this often.
fn looked(aws: &Aws, times: usize) {
    until(
        || aws.count("GetItem") >= times,
        || format!("{times} looks among {:?}", aws.calls()),
    );
}

#[test]
fn a_task_that_is_rung_late_answers_before_it_takes_the_registration() {
    let (aws, home) = (Aws::holding(&jit()), listener());
    let mut agent = Agent::warm(&aws, &home, &[]);
    agent.wait_for("the listener is warm");
    looked(&aws, 3);
    assert_eq!(aws.count("GetParameter"), 0, "{:?}", aws.calls());
    aws.ring("ring");
    assert_eq!(agent.outcome(), AgentExit::RanJob, "{}", agent.log());
    assert_eq!(taken(&aws), TAKEN);
    assert_eq!(aws.bell(), Some("taken"));
    assert_eq!(aws.calls().last().unwrap(), "bin/Runner.Listener");
}

#[test]
fn a_task_that_is_rung_at_once_does_not_wait_for_its_warm_up() {
    let (aws, home) = (
        Aws::holding(&jit()),
        warming("echo $$ >warming; sleep 600; exit 0"),
    );
    let mut agent = Agent::warm(&aws, &home, &[]);
    until(
        || home.read("warming").ends_with('\n'),
        || "the warm-up".to_owned(),
    );
    aws.ring("ring");
    assert_eq!(agent.outcome(), AgentExit::RanJob, "{}", agent.log());
    let warming = home.read("warming");
    until(|| !exists(&warming), || format!("the end of {warming}"));
}

#[test]
fn the_log_names_the_ticket_at_first_and_the_runner_from_the_ring_on() {
    let (aws, home) = (Aws::holding(&jit()), listener());
    aws.ring("ring");
    let mut agent = Agent::warm(&aws, &home, &[]);
    assert_eq!(agent.outcome(), AgentExit::RanJob);
    let line = |message: &str| -> serde_json::Value {
        let log = agent.log();
        let line = log.lines().find(|line| line.contains(message)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    let waiting = line("waiting for a job");
    assert_eq!(waiting["ticket"], "fargate-runners-ubuntu-x64/03");
    assert_eq!(
        (waiting.get("runner"), waiting.get("execution")),
        (None, None)
    );
    let started = line("starting the listener");
    assert_eq!(
        (&started["runner"], &started["execution"]),
        (&"fr-hello-42".into(), &"hello-42".into())
    );
    assert!(!agent.log().contains(BELL), "the key is the task's alone");
}

#[test]
fn the_summary_of_its_job_says_how_long_the_job_waited() {
    let aws = Aws::holding(&jit());
    let warm_up = "[ \"$1\" = warmup ] && exit 0";
    let ended = completed("Succeeded");
    let home = script(&[warm_up, LISTENING, RUNNING, NOTED, HOOK, &ended]);
    aws.ring("ring");
    assert_eq!(Agent::warm(&aws, &home, &[]).outcome(), AgentExit::RanJob);
    let summary = home.read("summary");
    assert!(summary.contains("| Waited in the queue | "), "{summary}");
    assert!(summary.contains("s, a warm task |"), "{summary}");
    assert_eq!(home.read("hook").trim(), "0");
}

#[test]
fn a_jobs_environment_holds_neither_bell_nor_table() {
    let (aws, home) = (Aws::holding(&jit()), listener());
    aws.ring("ring");
    let limits = [
        ("AGENT_WARM_LIMIT_SECONDS", "60"),
        ("AGENT_IDLE_LIMIT_SECONDS", "60"),
    ];
    assert_eq!(
        Agent::warm(&aws, &home, &limits).outcome(),
        AgentExit::RanJob
    );
    let job = home.read("job");
    assert!(job.contains(&jit_config()), "{job}");
    for text in [BELL, TABLE, PARAMETER, "AGENT_"] {
        assert!(!job.contains(text), "{text} in {job}");
    }
}

#[test]
fn a_ring_that_is_withdrawn_between_look_and_answer_gives_no_registration() {
    let aws = in_mood(Mood {
        withdrawn: true,
        ..Mood::default()
    });
    let home = listener();
    aws.ring("ring");
    let mut agent = Agent::warm(&aws, &home, &[]);
    assert_eq!(agent.end(), AgentExit::Released);
    assert_eq!(taken(&aws), ["UpdateItem"]);
    assert_eq!(aws.bell(), Some("leave"));
    assert_eq!(agent.last()["reason"], "its bell told it to leave");
}

#[test]
fn an_answer_whose_response_was_lost_counts() {
    let aws = in_mood(Mood {
        lost_answers: AtomicUsize::new(1),
        ..Mood::default()
    });
    let home = listener();
    aws.ring("ring");
    let mut agent = Agent::warm(&aws, &home, &[]);
    assert_eq!(agent.outcome(), AgentExit::RanJob, "{}", agent.log());
    assert_eq!(taken(&aws), TAKEN);
    assert!(agent.log().contains("dynamodb:UpdateItem on the bell"));
}

#[test]
fn a_registration_that_is_not_shown_yet_is_looked_for_again() {
    let aws = in_mood(Mood {
        missing: AtomicUsize::new(2),
        ..Mood::default()
    });
    let home = listener();
    aws.ring("ring");
    let mut agent = Agent::warm(&aws, &home, &[]);
    assert_eq!(agent.outcome(), AgentExit::RanJob, "{}", agent.log());
    assert_eq!(aws.count("GetParameter"), 3);
}

#[test]
fn an_answer_that_is_refused_is_given_again() {
    let aws = in_mood(Mood {
        refused_answers: AtomicUsize::new(2),
        ..Mood::default()
    });
    let home = listener();
    aws.ring("ring");
    let mut agent = Agent::warm(&aws, &home, &[]);
    assert_eq!(agent.outcome(), AgentExit::RanJob, "{}", agent.log());
    assert_eq!(aws.count("UpdateItem"), 3);
}

#[test]
fn a_task_that_is_told_to_leave_ends_without_a_write() {
    let (aws, home) = (Aws::holding(&jit()), listener());
    let mut agent = Agent::warm(&aws, &home, &[]);
    looked(&aws, 2);
    aws.ring("leave");
    assert_eq!(agent.end(), AgentExit::Released);
    assert_eq!(taken(&aws), Vec::<String>::new());
    assert_eq!(aws.bell(), Some("leave"));
}

#[test]
fn sigterm_while_waiting_ends_at_once_without_a_write() {
    let (aws, home) = (
        Aws::holding(&jit()),
        warming("echo $$ >warming; sleep 600; exit 0"),
    );
    let mut agent = Agent::warm(&aws, &home, &[]);
    looked(&aws, 1);
    until(
        || home.read("warming").ends_with('\n'),
        || "the warm-up".to_owned(),
    );
    agent.stop();
    assert_eq!(agent.end(), AgentExit::Stopped);
    assert_eq!(taken(&aws), Vec::<String>::new());
    assert_eq!(aws.bell(), None);
    let warming = home.read("warming");
    until(|| !exists(&warming), || format!("the end of {warming}"));
}

#[test]
fn a_throttled_table_is_looked_at_again() {
    let aws = in_mood(Mood {
        throttled_looks: AtomicUsize::new(3),
        ..Mood::default()
    });
    let home = listener();
    aws.ring("ring");
    let mut agent = Agent::warm(&aws, &home, &[]);
    assert_eq!(agent.outcome(), AgentExit::RanJob, "{}", agent.log());
    assert_eq!(aws.count("GetItem"), 4, "no look repeats itself");
    let log = agent.log();
    assert_eq!(log.matches("the bell in table").count(), 1, "{log}");
    assert!(log.contains("the bell can be read again"), "{log}");
}

#[test]
fn a_table_that_is_gone_is_named_and_the_task_waits_on() {
    let aws = in_mood(Mood {
        no_table: true,
        ..Mood::default()
    });
    let home = listener();
    let mut agent = Agent::warm(&aws, &home, &[]);
    looked(&aws, 3);
    let expected = format!("dynamodb:GetItem on the bell in table {TABLE} failed");
    agent.wait_for(&expected);
    assert!(agent.log().contains("The table of the pool is gone"));
    agent.stop();
    assert_eq!(agent.end(), AgentExit::Stopped);
}

#[test]
fn a_task_that_nobody_needs_ends_at_its_limit() {
    let (aws, home) = (Aws::holding(&jit()), listener());
    let mut agent = Agent::warm(&aws, &home, &[("AGENT_WARM_LIMIT_SECONDS", "1")]);
    assert_eq!(agent.end(), AgentExit::Released);
    assert_eq!(
        agent.last()["reason"],
        "it waited for AGENT_WARM_LIMIT_SECONDS"
    );
    // At the start, after half a second, and after one.
    assert_eq!(aws.count("GetItem"), 3, "{:?}", aws.calls());
    assert_eq!(taken(&aws), Vec::<String>::new());
}

#[test]
fn a_listener_that_cannot_warm_up_serves_nevertheless() {
    let (aws, home) = (Aws::holding(&jit()), warming("echo 'no ICU'; exit 131"));
    let mut agent = Agent::warm(&aws, &home, &[]);
    agent.wait_for("the listener did not warm up");
    assert!(agent.log().contains("no ICU"));
    aws.ring("ring");
    assert_eq!(agent.outcome(), AgentExit::RanJob);
}

#[test]
fn an_image_without_a_listener_looks_at_no_bell() {
    let (aws, home) = (Aws::holding(&jit()), listener());
    std::fs::remove_file(home.path("bin/Runner.Listener")).unwrap();
    aws.ring("ring");
    assert_eq!(
        Agent::warm(&aws, &home, &[]).end(),
        AgentExit::Misconfigured
    );
    assert_eq!(aws.calls(), Vec::<String>::new());
    assert_eq!(aws.bell(), Some("ring"));
}

#[test]
fn contradicting_variables_are_one_sentence_and_start_nothing() {
    let (aws, home) = (Aws::holding(&jit()), listener());
    for (variables, said) in [
        (
            vec![("AGENT_PARAMETER", PARAMETER)],
            "AGENT_PARAMETER and AGENT_BELL are both set",
        ),
        (
            vec![("AGENT_TABLE", "")],
            "AGENT_BELL is set without AGENT_TABLE",
        ),
        (
            vec![("AGENT_BELL", "")],
            "AGENT_TABLE is set without AGENT_BELL",
        ),
    ] {
        let mut agent = Agent::warm(&aws, &home, &variables);
        assert_eq!(agent.end(), AgentExit::Misconfigured);
        assert!(agent.log().contains(said), "{}", agent.log());
    }
    assert_eq!(aws.calls(), Vec::<String>::new());
}
