//! A job on the listener.

use github_standin::{JobStatus, ListenerFault};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::Rig;

#[tokio::test]
async fn a_job_runs_and_its_lines_are_those_of_the_real_listener() {
    let rig = Rig::new().await;
    let job = rig.queue("echo \"hello from $RUNNER_NAME\"\necho oops >&2\n");
    let listener = rig.start();
    let (code, said, errors) = listener.end().await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let timeless: Vec<_> = said
        .iter()
        .map(|line| {
            line.split_once("Z: ")
                .map_or(line.as_str(), |(_, text)| text)
        })
        .collect();
    assert_eq!(
        timeless,
        [
            "",
            "√ Connected to GitHub",
            "",
            "Current runner version: '2.335.0'",
            "Listening for Jobs",
            "Running job: build",
            "Job build completed with result: Succeeded",
        ]
    );
    let time = said[4].split_once(": ").unwrap().0;
    assert_eq!(time.len(), "2026-01-01 00:00:00Z".len(), "{time}");

    let done = rig.server.job(job.id).unwrap();
    assert_eq!(done.conclusion.as_deref(), Some("success"));
    assert!(done.output.contains("hello from one"), "{}", done.output);
    assert!(done.output.contains("oops"));
    rig.nothing_is_left();
    assert!(!rig.home.path().join(".runner").exists());
    let logs = std::fs::read_dir(rig.home.path().join("_diag")).unwrap();
    let names: Vec<_> = logs.map(|log| log.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .any(|name| name.to_string_lossy().starts_with("Runner_"))
    );
    assert!(
        names
            .iter()
            .any(|name| name.to_string_lossy().starts_with("Worker_"))
    );
}

#[tokio::test]
async fn a_script_that_fails_is_a_job_that_fails() {
    let rig = Rig::at("octo/hello").await;
    let job = rig.queue("false\necho never");
    let mut listener = rig.start();
    listener
        .until("Job build completed with result: Failed")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    let done = rig.server.job(job.id).unwrap();
    assert_eq!(done.conclusion.as_deref(), Some("failure"));
    assert!(
        !done.output.contains("never"),
        "a step ends at its first failure"
    );
}

#[tokio::test]
async fn a_job_sees_neither_its_configuration_nor_its_path() {
    let rig = Rig::new().await;
    let job = rig.queue("env");
    let listener = rig.start_in(&[("HOME", "/somewhere")]);
    assert_eq!(listener.end().await.0, Some(0));
    let output = rig.server.job(job.id).unwrap().output;
    assert!(!output.contains("ACTIONS_RUNNER_INPUT"), "{output}");
    assert!(!output.contains(&rig.config));
    for wanted in [
        "GITHUB_REPOSITORY=octo/hello",
        "RUNNER_NAME=one",
        "HOME=/somewhere",
        "CI=true",
    ] {
        assert!(output.contains(wanted), "{wanted} in {output}");
    }
}

#[tokio::test]
async fn hooks_run_before_and_after_the_job() {
    let rig = Rig::new().await;
    let hook = |name: &str, text: &str| {
        let path = rig.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let before = hook("before.sh", "echo first");
    let after = hook("after.sh", "echo last; exit 3");
    let job = rig.queue("echo middle");
    let listener = rig.start_in(&[
        ("ACTIONS_RUNNER_HOOK_JOB_STARTED", &before),
        ("ACTIONS_RUNNER_HOOK_JOB_COMPLETED", &after),
    ]);
    assert_eq!(listener.end().await.0, Some(0));
    let done = rig.server.job(job.id).unwrap();
    let place = |word| {
        done.output
            .find(word)
            .unwrap_or_else(|| panic!("{word}: {}", done.output))
    };
    assert!(place("first") < place("middle") && place("middle") < place("last"));
    assert_eq!(
        done.conclusion.as_deref(),
        Some("failure"),
        "a hook that fails fails the job"
    );
}

#[tokio::test]
async fn a_hook_after_the_job_adds_to_its_summary() {
    let rig = Rig::new().await;
    let hook = rig.home.path().join("after.sh");
    std::fs::write(&hook, "echo '| cost | 1 |' >>\"$GITHUB_STEP_SUMMARY\"").unwrap();
    let hook = hook.display().to_string();
    let job = rig.queue("echo '# Tests' >>\"$GITHUB_STEP_SUMMARY\"");
    let listener = rig.start_in(&[("ACTIONS_RUNNER_HOOK_JOB_COMPLETED", &hook)]);
    assert_eq!(listener.end().await.0, Some(0));
    let done = rig.server.job(job.id).unwrap();
    assert_eq!(done.summary, "# Tests\n| cost | 1 |\n");
    assert_eq!(done.conclusion.as_deref(), Some("success"));
}

#[tokio::test]
async fn what_a_job_leaves_running_is_ended() {
    let rig = Rig::new().await;
    let job = rig.queue("setsid sleep 4711 >/dev/null 2>&1 &\necho \"pid=$!\"");
    let listener = rig.start();
    assert_eq!(listener.end().await.0, Some(0));
    let output = rig.server.job(job.id).unwrap().output;
    let id = output.split_once("pid=").unwrap().1.lines().next().unwrap();
    // A killed process is gone a moment after the signal.
    let lives = || {
        std::fs::read_to_string(format!("/proc/{id}/cmdline"))
            .is_ok_and(|command| command.contains("4711"))
    };
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while lives() {
        assert!(tokio::time::Instant::now() < deadline, "{id} lives on");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_job_that_github_cancels_is_ended() {
    let rig = Rig::new().await;
    let job = rig.queue("echo begun; sleep 600");
    let mut listener = rig.start();
    rig.output(&job, "begun").await;
    rig.server.cancel_job(job.id).unwrap();
    listener
        .until("Job build completed with result: Canceled")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    rig.concluded(&job, "cancelled").await;
}

#[tokio::test]
async fn an_interrupt_cancels_a_running_job() {
    let rig = Rig::new().await;
    let job = rig.queue("echo begun; sleep 600");
    let mut listener = rig.start();
    rig.output(&job, "begun").await;
    listener.signal(Signal::SIGINT);
    listener
        .until("Job build completed with result: Canceled")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    rig.concluded(&job, "cancelled").await;
    rig.nothing_is_left();
}

#[tokio::test]
async fn a_job_whose_listener_is_killed_fails_after_a_grace() {
    let rig = Rig::with(|settings| {
        settings.session_timeout_ms = 50;
        settings.lease_grace_ms = 50;
    })
    .await;
    let job = rig.queue("echo \"begun=$$\"; exec sleep 600");
    let listener = rig.start();
    let output = rig.output(&job, "begun=").await;
    listener.signal(Signal::SIGKILL);
    let script = output
        .split_once("begun=")
        .unwrap()
        .1
        .trim()
        .parse()
        .unwrap();
    kill(Pid::from_raw(script), Signal::SIGKILL).unwrap();
    assert_eq!(listener.end().await.0, None);
    let done = rig.concluded(&job, "failure").await;
    assert!(
        done.output.contains("lost communication"),
        "{}",
        done.output
    );
    rig.nothing_is_left();
}

#[tokio::test]
async fn a_worker_that_is_killed_looks_like_a_job_that_failed_but_for_the_diagnostics() {
    let rig = Rig::at("octo/hello").await;
    let job = rig.queue("cat /proc/$PPID/comm; kill -9 $PPID; sleep 600");
    let mut listener = rig.start();
    listener
        .until("Job build completed with result: Failed")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    rig.concluded(&job, "failure").await;
    let logs = std::fs::read_dir(rig.home.path().join("_diag")).unwrap();
    let text: String = logs
        .map(|log| std::fs::read_to_string(log.unwrap().path()).unwrap())
        .collect();
    let finished = format!(
        " JobDispatcher] Worker finished for job 00000000-0000-0000-0000-{:012}. Code: 137",
        job.id
    );
    assert!(text.contains(&finished), "{text}");
    rig.nothing_is_left();
}

#[tokio::test]
async fn a_job_runs_in_a_worker_process_of_the_listener() {
    let rig = Rig::new().await;
    let job = rig.queue("cat /proc/$PPID/comm; grep PPid /proc/$PPID/status");
    let listener = rig.start();
    let id = listener.child.id().unwrap();
    assert_eq!(listener.end().await.0, Some(0));
    let output = rig.completed(&job).await.output;
    assert!(output.contains("Runner.Worker"), "{output}");
    assert!(output.contains(&format!("PPid:\t{id}\n")), "{output}");
}

#[tokio::test]
async fn a_listener_hangs_after_its_job_where_that_is_wanted() {
    let rig = Rig::with(|settings| settings.listener = ListenerFault::HangsAfterJob).await;
    let job = rig.queue("true");
    let mut listener = rig.start();
    listener.until("completed with result: Succeeded").await;
    rig.concluded(&job, "success").await;
    listener.signal(Signal::SIGINT);
    assert!(listener.child.try_wait().unwrap().is_none());
    listener.signal(Signal::SIGKILL);
    assert_eq!(listener.end().await.0, None);
}

#[tokio::test]
async fn a_listener_goes_silent_in_its_job_where_that_is_wanted() {
    let rig = Rig::with(|settings| {
        settings.listener = ListenerFault::SilentInJob;
        settings.session_timeout_ms = 50;
        settings.lease_grace_ms = 50;
    })
    .await;
    let job = rig.queue("true");
    let mut listener = rig.start();
    listener.until("Running job: build").await;
    rig.concluded(&job, "failure").await;
    assert!(listener.child.try_wait().unwrap().is_none());
    listener.signal(Signal::SIGKILL);
    let (code, said, _) = listener.end().await;
    assert_eq!(code, None);
    assert!(said.last().unwrap().ends_with("Running job: build"));
}

#[tokio::test]
async fn a_listener_whose_job_request_is_gone_ends_well_without_a_job() {
    let rig = Rig::with(|settings| {
        settings.listener = ListenerFault::RequestGone;
        settings.session_timeout_ms = 50;
        settings.lease_grace_ms = 50;
    })
    .await;
    let job = rig.queue("true");
    let listener = rig.start();
    let (code, said, errors) = listener.end().await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(!said.iter().any(|line| line.contains("Running job")));
    assert_eq!(rig.server.job(job.id).unwrap().status, JobStatus::Queued);
}
