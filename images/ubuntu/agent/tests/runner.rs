//! The agent's whole way, with a shell script for a listener.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, not what they call"
)]

mod support;
mod warm;

use std::sync::atomic::AtomicUsize;

use decisions::AgentExit;
use protocol::{Registration, Secret, TokenRegistration};
use support::{Agent, Aws, Home, Mood, PARAMETER, exists, jit, jit_config, until};

/// Waits until it is interrupted; `wait` gives way to the trap at once.
const UNTIL_INTERRUPTED: &str = "sleep 600 & wait $!";
const LISTENING: &str = "echo '2026-03-01 10:00:00Z: Listening for Jobs'";
const RUNNING: &str = "echo '2026-03-01 10:00:01Z: Running job: build'";

fn completed(result: &str) -> String {
    format!("echo '2026-03-01 10:00:02Z: Job build completed with result: {result}'")
}

fn script(lines: &[&str]) -> Home {
    Home::with_listener(&lines.join("\n"))
}

#[test]
fn deletes_the_parameter_before_it_starts_the_listener() {
    let (aws, home) = (
        Aws::holding(&jit()),
        script(&[LISTENING, RUNNING, &completed("Succeeded")]),
    );
    assert_eq!(Agent::start(&aws, &home).outcome(), AgentExit::RanJob);
    assert_eq!(
        aws.calls(),
        [
            "credentials",
            "GetParameter",
            "DeleteParameter",
            "bin/Runner.Listener"
        ]
    );
}

/// Whether the kernel refuses what a job's process would gain, for each of some settings.
fn new_privileges(path: &std::path::Path, variables: &[(&str, &str)]) -> String {
    let home = script(&[
        "grep NoNewPrivs /proc/$$/status >job",
        LISTENING,
        RUNNING,
        &completed("Succeeded"),
    ]);
    let aws = Aws::holding(&jit());
    let path = format!("{}:/usr/bin:/bin", path.display());
    let variables = [variables, &[("PATH", path.as_str())]].concat();
    assert_eq!(
        Agent::start_with(&aws, &home, &variables).outcome(),
        AgentExit::RanJob
    );
    home.read("job")
        .trim()
        .replace("NoNewPrivs:\t", "NoNewPrivs ")
}

#[test]
fn a_job_gains_no_rights_unless_the_image_has_sudo_or_the_variable_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let (denied, allowed) = ("NoNewPrivs 1", "NoNewPrivs 0");
    let image = tempfile::tempdir().unwrap();
    // Not of this machine, which may have a `sudo` of its own in /usr/bin.
    let never = ("AGENT_NEW_PRIVILEGES", "false");
    let always = ("AGENT_NEW_PRIVILEGES", "true");
    assert_eq!(new_privileges(image.path(), &[never]), denied);
    assert_eq!(new_privileges(image.path(), &[always]), allowed);

    let sudo = image.path().join("sudo");
    std::fs::write(&sudo, "").unwrap();
    std::fs::set_permissions(&sudo, std::fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(new_privileges(image.path(), &[]), allowed);
    assert_eq!(new_privileges(image.path(), &[never]), denied);
}

#[test]
fn a_jobs_environment_holds_neither_path_nor_configuration() {
    // As the real listener does, which takes its inputs out of its environment.
    let job = "env >job; tr '\\0' ' ' </proc/$$/cmdline >cmdline; unset ${!ACTIONS_RUNNER_INPUT_*}; env >job";
    let home = script(&[
        "env >listener",
        job,
        LISTENING,
        RUNNING,
        &completed("Succeeded"),
    ]);
    let aws = Aws::holding(&jit());
    Agent::start(&aws, &home).outcome();
    assert!(
        home.read("listener")
            .contains(&format!("ACTIONS_RUNNER_INPUT_JITCONFIG={}", jit_config()))
    );
    let job = home.read("job");
    assert!(
        job.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI="),
        "the task role is the job's to use: {job}"
    );
    for text in [
        jit_config().as_str(),
        PARAMETER,
        "AGENT_",
        "ACTIONS_RUNNER_INPUT",
    ] {
        assert!(!job.contains(text), "{text} in {job}");
        assert!(!home.read("cmdline").contains(text));
    }
    assert!(
        home.read("cmdline")
            .trim_end()
            .ends_with("bin/Runner.Listener run")
    );
}

/// Runs the hook as the runner does after a job, with an empty file for the summary, and notes its exit code.
const HOOK: &str = ": >summary; GITHUB_STEP_SUMMARY=$PWD/summary sh -e \"$ACTIONS_RUNNER_HOOK_JOB_COMPLETED\" && code=0 || code=$?; echo $code >hook";

/// The agent notes the job's start before a real job can have ended, so the hook waits for that.
const NOTED: &str = "until grep -q '\"job\":[0-9]' _agent/facts.json; do sleep 0.05; done";

#[test]
fn the_hook_after_a_job_writes_its_summary() {
    let aws = Aws::holding(&jit());
    let home = script(&[LISTENING, RUNNING, NOTED, HOOK, &completed("Succeeded")]);
    let queued = [("AGENT_QUEUED_AT", "2026-01-01T00:00:00Z")];
    let outcome = Agent::start_with(&aws, &home, &queued).outcome();
    assert_eq!(outcome, AgentExit::RanJob);
    let summary = home.read("summary");
    assert!(summary.contains("| Waited in the queue | "), "{summary}");
    assert!(summary.contains("s, a new task |"), "{summary}");
    assert_eq!(home.read("hook").trim(), "0");
}

#[test]
fn an_images_own_hook_still_runs_and_counts_and_a_summary_can_be_switched_off() {
    let aws = Aws::holding(&jit());
    let home = script(&[LISTENING, RUNNING, HOOK, &completed("Failed")]);
    let own = home.path("own hook.sh");
    std::fs::write(&own, "echo own >own; exit 7").unwrap();
    let own = own.display().to_string();
    let hook = ("ACTIONS_RUNNER_HOOK_JOB_COMPLETED", own.as_str());
    Agent::start_with(&aws, &home, &[hook]).outcome();
    assert_eq!(
        (home.read("own").trim(), home.read("hook").trim()),
        ("own", "7")
    );

    let home = script(&["env >job", LISTENING, RUNNING, &completed("Succeeded")]);
    Agent::start_with(&aws, &home, &[hook, ("AGENT_SUMMARY", "false")]).outcome();
    let job = home.read("job");
    assert!(job.contains(&format!("{}={}", hook.0, hook.1)), "{job}");
    assert!(!home.path("_agent").exists());
}

#[test]
fn a_job_that_ran_ends_well_whatever_its_result() {
    let aws = Aws::holding(&jit());
    for result in ["Succeeded", "Failed", "Canceled"] {
        let home = script(&[LISTENING, RUNNING, &completed(result)]);
        let mut agent = Agent::start(&aws, &home);
        assert_eq!(agent.outcome(), AgentExit::RanJob, "{result}");
        assert_eq!(
            (&agent.last()["job"], &agent.last()["result"]),
            (&"build".into(), &result.into())
        );
    }
}

#[test]
fn sigterm_while_idle_shuts_the_listener_down_in_order() {
    let aws = Aws::holding(&jit());
    let home = script(&[
        "trap 'echo Exiting...; exit 0' INT",
        LISTENING,
        UNTIL_INTERRUPTED,
    ]);
    let mut agent = Agent::start(&aws, &home);
    agent.wait_for("Listening for Jobs");
    agent.stop();
    assert_eq!(agent.outcome(), AgentExit::Stopped);
    assert!(agent.log().contains("Exiting..."));
}

#[test]
fn sigterm_during_a_job_lets_the_listener_cancel_it() {
    let aws = Aws::holding(&jit());
    let trap = format!("trap \"{}; exit 0\" INT", completed("Canceled"));
    let home = script(&[&trap, LISTENING, RUNNING, UNTIL_INTERRUPTED]);
    let mut agent = Agent::start(&aws, &home);
    agent.wait_for("Running job");
    agent.stop();
    assert_eq!(agent.outcome(), AgentExit::StoppedInJob);
    assert!(agent.log().contains("completed with result: Canceled"));
}

#[test]
fn sigterm_before_the_listener_has_started_ends_at_once() {
    let aws = Aws::in_mood(
        &jit(),
        Mood {
            silent: true,
            ..Mood::default()
        },
    );
    let home = script(&[LISTENING]);
    let mut agent = Agent::start(&aws, &home);
    until(
        || aws.calls().contains(&"GetParameter".to_owned()),
        || "the first call".to_owned(),
    );
    agent.stop();
    assert_eq!(agent.outcome(), AgentExit::Stopped);
    assert!(!aws.calls().contains(&"bin/Runner.Listener".to_owned()));
}

#[test]
fn a_listener_that_does_not_end_is_killed_with_all_it_has_started() {
    let aws = Aws::holding(&jit());
    let home = script(&[
        "trap '' INT",
        "sleep 600 & echo $! >worker",
        LISTENING,
        "while :; do wait; done",
    ]);
    let mut agent = Agent::start_with(&aws, &home, &[("AGENT_STOP_LIMIT_SECONDS", "1")]);
    agent.wait_for("Listening for Jobs");
    let worker = home.read("worker");
    assert!(exists(&worker));
    agent.stop();
    assert_eq!(agent.outcome(), AgentExit::Stopped);
    until(
        || !exists(&worker),
        || format!("process {worker} to be gone"),
    );
}

#[test]
fn a_listener_without_a_job_is_ended_by_the_watchdog() {
    let aws = Aws::holding(&jit());
    let home = script(&["trap 'exit 0' INT", LISTENING, UNTIL_INTERRUPTED]);
    let mut agent = Agent::start_with(&aws, &home, &[("AGENT_IDLE_LIMIT_SECONDS", "1")]);
    assert_eq!(agent.outcome(), AgentExit::Idle);
    assert!(agent.log().contains("no job came within the idle limit"));
}

#[test]
fn a_listener_that_never_reaches_github_ends_as_no_connection_with_its_reason() {
    let aws = Aws::holding(&jit());
    // The line of the real listener, which says it once and retries without an end.
    let complaint = "echo '2026-03-01 10:00:00Z: Runner connect error: Name or service not known (broker.actions.githubusercontent.com:443). Retrying until reconnected.' >&2";
    let home = script(&["trap 'exit 0' INT", complaint, UNTIL_INTERRUPTED]);
    let limits = [("AGENT_CONNECT_LIMIT_SECONDS", "1")];
    let mut agent = Agent::start_with(&aws, &home, &limits);
    assert_eq!(agent.outcome(), AgentExit::NoConnection);
    assert_eq!(
        agent.last()["connectError"],
        "Name or service not known (broker.actions.githubusercontent.com:443). Retrying until reconnected."
    );
    assert!(
        agent
            .log()
            .contains("did not reach GitHub within the connect limit")
    );

    let home = script(&["trap 'exit 0' INT", UNTIL_INTERRUPTED]);
    let mut agent = Agent::start_with(&aws, &home, &limits);
    assert_eq!(agent.outcome(), AgentExit::NoConnection);
    let reason = agent.last()["connectError"].to_string();
    assert!(reason.contains("check the network"), "{reason}");
}

#[test]
fn a_session_that_another_holds_is_a_conflict_and_no_lack_of_connection() {
    let aws = Aws::holding(&jit());
    let home = script(&[
        "trap 'exit 0' INT",
        "echo 'A session for this runner already exists.' >&2",
        UNTIL_INTERRUPTED,
    ]);
    let mut agent = Agent::start_with(&aws, &home, &[("AGENT_CONNECT_LIMIT_SECONDS", "1")]);
    assert_eq!(agent.outcome(), AgentExit::SessionConflict);
}

#[test]
fn the_connect_limit_does_not_touch_a_listener_that_listens() {
    let aws = Aws::holding(&jit());
    let home = script(&[LISTENING, "sleep 1.5", RUNNING, &completed("Succeeded")]);
    let mut agent = Agent::start_with(&aws, &home, &[("AGENT_CONNECT_LIMIT_SECONDS", "1")]);
    assert_eq!(agent.outcome(), AgentExit::RanJob);
}

#[test]
fn a_listener_that_hangs_after_its_job_is_ended_and_the_job_counts_as_run() {
    let aws = Aws::holding(&jit());
    for result in ["Succeeded", "Failed"] {
        // It heeds no signal but the last.
        let home = script(&[
            "trap '' INT",
            LISTENING,
            RUNNING,
            &completed(result),
            "while :; do sleep 600; done",
        ]);
        let limits = [
            ("AGENT_LINGER_LIMIT_SECONDS", "1"),
            ("AGENT_STOP_LIMIT_SECONDS", "1"),
        ];
        let mut agent = Agent::start_with(&aws, &home, &limits);
        assert_eq!(agent.outcome(), AgentExit::RanJob, "{result}");
        let log = agent.log();
        let order = ["asking the listener to end", "killing the listener"]
            .map(|message| log.find(message).unwrap());
        assert!(order[0] < order[1], "{log}");
    }
}

/// The line with which the listener's diagnostics name a worker's exit code.
fn worker_finished(code: i32) -> String {
    format!(
        "echo '[2026-03-01 10:00:02Z INFO JobDispatcher] Worker finished for job 6b9a3c1e-0000-4000-8000-000000000001. Code: {code}' >>_diag/Runner_20260301-100000-utc.log"
    )
}

#[test]
fn a_killed_worker_a_failed_job_and_an_exhausted_task_are_told_apart() {
    let aws = Aws::holding(&jit());
    let cgroup = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(cgroup.path().join(name), text).unwrap();
    write("memory.current", "104857600\n");
    write("memory.max", "1073741824\n");
    let kill = format!(
        "echo 'oom_kill 1' >{}",
        cgroup.path().join("memory.events").display()
    );
    for (code, kill, exit) in [
        (102, "", AgentExit::RanJob),
        (137, "", AgentExit::WorkerDied),
        (137, kill.as_str(), AgentExit::MemoryExhausted),
        // A step was ended by the kernel, and the worker lived to tell that it failed.
        (102, kill.as_str(), AgentExit::MemoryExhausted),
    ] {
        write("memory.events", "oom_kill 0\n");
        let home = script(&[
            LISTENING,
            RUNNING,
            kill,
            &worker_finished(code),
            &completed("Failed"),
        ]);
        let variables = [("AGENT_CGROUP", cgroup.path().to_str().unwrap())];
        let mut agent = Agent::start_with(&aws, &home, &variables);
        assert_eq!(agent.outcome(), exit, "{code} {}", agent.log());
        let end = line(&agent.log(), "state at the end");
        assert_eq!(end["workerCode"], code);
        assert_eq!(end["memory"]["current"], 104_857_600);
    }
}

fn line(log: &str, message: &str) -> serde_json::Value {
    log.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .rfind(|line| line["message"] == message)
        .unwrap_or_default()
}

/// Something that lives on under the name of the listener's worker.
const WORKER: &str =
    "cp \"$(command -v sleep)\" bin/Runner.Worker; bin/Runner.Worker 600 & worker=$!";

#[test]
fn a_runner_that_goes_silent_in_its_job_leaves_the_state_of_its_processes() {
    let aws = Aws::holding(&jit());
    let home = script(&[
        "trap 'kill $worker; exit 0' INT",
        WORKER,
        LISTENING,
        RUNNING,
        UNTIL_INTERRUPTED,
    ]);
    let mut agent = Agent::start_with(&aws, &home, &[("AGENT_SAMPLE_SECONDS", "1")]);
    until(
        || line(&agent.log(), "state of the runner")["worker"]["state"] == "S",
        || agent.log(),
    );
    let state = line(&agent.log(), "state of the runner");
    assert_eq!(state["running"], "build", "{state}");
    assert!(state["listener"]["pid"].is_u64(), "{state}");
    assert!(state["worker"]["kibibytes"].is_u64(), "{state}");
    agent.stop();
    assert_eq!(agent.outcome(), AgentExit::StoppedInJob);
}

#[test]
fn the_idle_limit_does_not_cut_off_a_job_whose_start_is_told_in_other_words() {
    let aws = Aws::holding(&jit());
    let home = script(&[
        "trap 'exit 9' INT",
        WORKER,
        LISTENING,
        "echo '2026-03-01 10:00:01Z: Now running: build'",
        "sleep 2.5; kill $worker; wait $worker",
        "exit 0",
    ]);
    let mut agent = Agent::start_with(&aws, &home, &[("AGENT_IDLE_LIMIT_SECONDS", "1")]);
    assert_eq!(agent.outcome(), AgentExit::RanJob, "{}", agent.log());
}

#[test]
fn a_listener_that_does_not_notice_that_its_worker_is_gone_is_ended() {
    let aws = Aws::holding(&jit());
    let home = script(&[
        "trap 'exit 0' INT",
        WORKER,
        LISTENING,
        RUNNING,
        "while [ ! -e seen ]; do sleep 0.05; done; kill -9 $worker; wait $worker",
        UNTIL_INTERRUPTED,
    ]);
    let limits = [
        ("AGENT_SAMPLE_SECONDS", "1"),
        ("AGENT_LINGER_LIMIT_SECONDS", "1"),
    ];
    let mut agent = Agent::start_with(&aws, &home, &limits);
    until(
        || line(&agent.log(), "state of the runner")["worker"]["state"] == "S",
        || agent.log(),
    );
    std::fs::write(home.path("seen"), "").unwrap();
    assert_eq!(agent.outcome(), AgentExit::WorkerDied, "{}", agent.log());
    assert!(
        agent
            .log()
            .contains("worker process is gone and the listener did not notice")
    );
}

#[test]
fn an_ephemeral_runner_whose_job_request_is_gone_ended_without_a_job() {
    let aws = Aws::holding(&jit());
    // What runner 2.336 writes and prints then (Runner.cs and ConfigurationManager.cs, #4540).
    let home = script(&[
        LISTENING,
        "echo \"[2026-03-01 10:00:05Z INFO Runner] Acknowledge returned job-not-found for ephemeral runner request '7f0c'. Exiting runner.\" >_diag/Runner_20260301-100000-utc.log",
        "echo '√ Removed .credentials'; echo '√ Removed .runner'",
        "exit 0",
    ]);
    let mut agent = Agent::start(&aws, &home);
    assert_eq!(agent.outcome(), AgentExit::EndedWithoutJob);
    assert!(agent.log().contains("job-not-found"), "the log says why");
}

#[test]
fn a_runner_that_github_has_forgotten_ended_without_a_job_in_either_version() {
    let aws = Aws::holding(&jit());
    for (said, code) in [
        // Since 2.336 (#4551), and before.
        (
            "The runner no longer exists on the server. Cleaning up local configuration.",
            0,
        ),
        ("An error occurred: Runner not found", 1),
    ] {
        let home = script(&[LISTENING, &format!("echo '{said}' >&2; exit {code}")]);
        let mut agent = Agent::start(&aws, &home);
        assert_eq!(agent.outcome(), AgentExit::EndedWithoutJob, "{said}");
    }
}

#[test]
fn a_version_that_is_too_old_is_known_by_its_exit_code_however_github_words_it() {
    let aws = Aws::holding(&jit());
    // As Program.cs: 7 only where the variable is set.
    let home = script(&[
        LISTENING,
        "echo 'An error occurred: Please install a newer runner.' >&2",
        "[ \"$ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE\" = 1 ] && exit 7",
        "exit 1",
    ]);
    assert_eq!(
        Agent::start(&aws, &home).outcome(),
        AgentExit::VersionTooOld
    );
}

#[test]
fn a_job_that_starts_during_the_watchdogs_shutdown_decides() {
    let aws = Aws::holding(&jit());
    for (result, exit) in [
        ("Succeeded", AgentExit::RanJob),
        ("Canceled", AgentExit::StoppedInJob),
    ] {
        // It goes on for longer than the stop limit.
        let trap = format!(
            "trap \"{RUNNING}; sleep 1.5; {}; exit 0\" INT",
            completed(result)
        );
        let home = script(&[&trap, LISTENING, UNTIL_INTERRUPTED]);
        let limits = [
            ("AGENT_IDLE_LIMIT_SECONDS", "1"),
            ("AGENT_STOP_LIMIT_SECONDS", "1"),
        ];
        let mut agent = Agent::start_with(&aws, &home, &limits);
        assert_eq!(agent.outcome(), exit, "{}", agent.log());
    }
}

#[test]
fn a_listener_that_updates_itself_is_started_again_once() {
    let aws = Aws::holding(&jit());
    // The update's script waits for the listener to be gone from /proc, as the real one does.
    let update = "(while [ -e /proc/$$ ]; do sleep 0.02; done; touch update.finished) &";
    let starts = "echo >>starts; starts=$(wc -l <starts)";
    let serve = [
        "[ $starts = 2 ] && {",
        LISTENING,
        RUNNING,
        &completed("Succeeded"),
        "exit 0; }",
    ]
    .join("\n");
    let home = script(&[starts, &serve, update, "exit 4"]);
    assert_eq!(Agent::start(&aws, &home).outcome(), AgentExit::RanJob);
    assert!(!home.path("update.finished").exists());

    let home = script(&[starts, update, "exit 3"]);
    assert_eq!(
        Agent::start(&aws, &home).outcome(),
        AgentExit::VersionTooOld
    );
    assert_eq!(home.read("starts").lines().count(), 2);
}

#[test]
fn sigterm_during_an_update_stops_waiting_for_it() {
    let aws = Aws::holding(&jit());
    let home = script(&["echo updating", "exit 3"]);
    let mut agent = Agent::start(&aws, &home);
    agent.wait_for("the listener ended");
    agent.stop();
    assert_eq!(agent.outcome(), AgentExit::Stopped);
}

#[test]
fn a_refused_listener_leaves_the_tail_of_its_diagnostics_without_secrets() {
    let aws = Aws::holding(&jit());
    let diagnostics = "echo \"config $ACTIONS_RUNNER_INPUT_JITCONFIG key the-private-exponent-of-it\" >_diag/Runner_1.log";
    let home = script(&[
        diagnostics,
        "echo 'the reason' >>_diag/Runner_1.log",
        "echo \"no: $ACTIONS_RUNNER_INPUT_JITCONFIG\" >&2",
        "exit 1",
    ]);
    let mut agent = Agent::start(&aws, &home);
    assert_eq!(agent.outcome(), AgentExit::Refused);
    let log = agent.log();
    assert!(
        log.contains("the reason") && log.contains("config *** key ***") && log.contains("no: ***"),
        "{log}"
    );
    assert!(!log.contains(&jit_config()));
}

#[test]
fn a_job_that_ran_leaves_no_diagnostics() {
    let aws = Aws::holding(&jit());
    let home = script(&[
        "echo 'the details' >_diag/Runner_1.log",
        LISTENING,
        RUNNING,
        &completed("Failed"),
    ]);
    let mut agent = Agent::start(&aws, &home);
    agent.outcome();
    assert!(!agent.log().contains("the details"));
}

#[test]
fn a_token_reaches_config_by_environment_and_the_listener_not_at_all() {
    let token = "AABF3JGZDX3P5PMEXLND6TS6FCWO6";
    let registration = Registration::Token(TokenRegistration {
        url: "https://github.com/octo/hello".into(),
        token: Secret::new(token),
        name: "fr-hello-42".into(),
        labels: "linux,self-hosted".into(),
        group: Some("Big machines".into()),
    });
    let (aws, home) = (
        Aws::holding(&registration),
        script(&["env >listener", LISTENING, RUNNING, &completed("Succeeded")]),
    );
    home.program(
        "config.sh",
        "env >config; echo \"$@\" >arguments; echo \"token $ACTIONS_RUNNER_INPUT_TOKEN\"",
    );
    let mut agent = Agent::start(&aws, &home);
    assert_eq!(agent.outcome(), AgentExit::RanJob);
    assert_eq!(
        aws.calls()[1..],
        [
            "GetParameter",
            "DeleteParameter",
            "config.sh",
            "bin/Runner.Listener"
        ]
    );
    assert!(
        home.read("config")
            .contains(&format!("ACTIONS_RUNNER_INPUT_TOKEN={token}\n"))
    );
    assert!(
        home.read("config")
            .contains("ACTIONS_RUNNER_INPUT_RUNNERGROUP=Big machines\n")
    );
    let arguments = home.read("arguments");
    assert!(
        arguments.starts_with("--unattended --ephemeral --disableupdate")
            && !arguments.contains(token),
        "{arguments}"
    );
    assert!(!home.read("listener").contains("ACTIONS_RUNNER_INPUT"));
    assert!(agent.log().contains("token ***") && !agent.log().contains(token));
}

#[test]
fn a_refused_token_ends_before_the_listener() {
    let registration = Registration::Token(TokenRegistration {
        url: "https://github.com/octo/hello".into(),
        token: Secret::new("AABF3JGZDX3P5PMEXLND6TS6FCWO6"),
        name: "fr-hello-42".into(),
        labels: "self-hosted".into(),
        group: None,
    });
    let (aws, home) = (Aws::holding(&registration), script(&[LISTENING]));
    home.program("config.sh", "exit 1");
    assert_eq!(Agent::start(&aws, &home).outcome(), AgentExit::Refused);
    assert!(!aws.calls().contains(&"bin/Runner.Listener".to_owned()));
}

#[test]
fn throttled_calls_are_repeated() {
    let aws = Aws::in_mood(
        &jit(),
        Mood {
            throttled: AtomicUsize::new(3),
            ..Mood::default()
        },
    );
    let home = script(&[LISTENING, RUNNING, &completed("Succeeded")]);
    assert_eq!(Agent::start(&aws, &home).outcome(), AgentExit::RanJob);
    assert_eq!(
        aws.calls()
            .iter()
            .filter(|call| call.ends_with("Parameter"))
            .count(),
        5
    );
}

#[test]
fn a_missing_parameter_is_said_with_its_name_and_starts_nothing() {
    let aws = Aws::in_mood(
        &jit(),
        Mood {
            failing: Some("ParameterNotFound"),
            ..Mood::default()
        },
    );
    let home = script(&[LISTENING]);
    let mut agent = Agent::start(&aws, &home);
    assert_eq!(agent.outcome(), AgentExit::RegistrationUnavailable);
    assert_eq!(aws.calls(), ["credentials", "GetParameter"]);
    assert!(
        agent
            .log()
            .contains(&format!("ssm:GetParameter on {PARAMETER} failed")),
        "{}",
        agent.log()
    );
}

#[test]
fn an_image_without_a_listener_does_not_use_up_the_registration() {
    let (aws, home) = (Aws::holding(&jit()), script(&[]));
    std::fs::remove_file(home.path("bin/Runner.Listener")).unwrap();
    let mut agent = Agent::start(&aws, &home);
    assert_eq!(agent.outcome(), AgentExit::Misconfigured);
    assert!(
        agent
            .log()
            .contains("bin/Runner.Listener is not an executable file"),
        "{}",
        agent.log()
    );
    assert!(aws.calls().is_empty());
}

#[test]
fn a_missing_variable_is_named() {
    let (aws, home) = (Aws::holding(&jit()), script(&[]));
    let mut agent = Agent::start_with(&aws, &home, &[("AGENT_PARAMETER", "")]);
    assert_eq!(agent.outcome(), AgentExit::Misconfigured);
    assert!(
        agent
            .log()
            .contains("neither AGENT_PARAMETER nor AGENT_BELL is set"),
        "{}",
        agent.log()
    );
}

#[test]
fn credentials_that_are_late_are_asked_for_again() {
    let aws = Aws::in_mood(
        &jit(),
        Mood {
            without_credentials: AtomicUsize::new(1),
            ..Mood::default()
        },
    );
    let home = script(&[LISTENING, RUNNING, &completed("Succeeded")]);
    assert_eq!(Agent::start(&aws, &home).outcome(), AgentExit::RanJob);
    assert_eq!(aws.calls()[..2], ["credentials", "credentials"]);
}

#[test]
fn orphans_are_buried_while_the_listener_runs() {
    let aws = Aws::holding(&jit());
    let orphan = "(sleep 0 & echo $! >orphan)";
    let home = script(&["trap 'exit 0' INT", orphan, LISTENING, UNTIL_INTERRUPTED]);
    let mut agent = Agent::start(&aws, &home);
    agent.wait_for("Listening for Jobs");
    let orphan = home.read("orphan");
    until(
        || !exists(&orphan),
        || format!("process {orphan} to be buried"),
    );
    agent.stop();
    assert_eq!(agent.outcome(), AgentExit::Stopped);
}
