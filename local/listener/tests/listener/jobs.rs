//! The listener as a process, against the GitHub stand-in: what it prints, how it exits, what it
//! leaves behind.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use github_standin::{
    Config, DeletionNotice, Job, JobStatus, ListenerFault, NewJob, OwnerType, Server,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_mins(1);

async fn server() -> Server {
    let server = Server::start(Config::default()).await.unwrap();
    server
        .add_repository("octo/hello", OwnerType::Organization, true)
        .unwrap();
    server
}

fn queue(server: &Server, run: &str) -> Job {
    server
        .create_job(NewJob {
            repository: "octo/hello".to_owned(),
            labels: vec!["x".to_owned()],
            run: run.to_owned(),
            ..NewJob::default()
        })
        .unwrap()
}

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_listener-standin"),
        bin.join("Runner.Listener"),
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("home/config.sh");
    std::fs::copy(script, home.path().join("config.sh")).unwrap();
    home
}

fn program(home: &TempDir) -> Command {
    let mut command = Command::new(home.path().join("bin/Runner.Listener"));
    command
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

struct Listener {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Listener {
    fn start(home: &TempDir, config: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = program(home)
            .arg("run")
            .env("ACTIONS_RUNNER_INPUT_JITCONFIG", config)
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    async fn until(&mut self, text: &str) {
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push(line);
                if self.said.last().unwrap().contains(text) {
                    return true;
                }
            }
            false
        };
        assert!(
            timeout(PATIENCE, found).await.unwrap(),
            "never said {text:?}: {:?}",
            self.said
        );
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Its exit code, what it has said, and what it has said on the other stream.
    async fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.said.push(line);
        }
        let mut errors = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut errors).await.unwrap();
        (status.code(), self.said, errors)
    }
}

async fn completed(server: &Server, id: u64) -> Job {
    let state = server
        .wait_for(PATIENCE, |state| {
            state.job(id).unwrap().status == JobStatus::Completed
        })
        .await
        .unwrap();
    state.job(id).unwrap().clone()
}

#[tokio::test]
async fn a_job_runs_and_its_lines_are_those_of_the_real_listener() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "echo \"hello from $RUNNER_NAME\"\necho oops >&2\n");
    let listener = Listener::start(&home, &config, &[]);
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

    let done = server.job(job.id).unwrap();
    assert_eq!(done.conclusion.as_deref(), Some("success"));
    assert!(done.output.contains("hello from one"), "{}", done.output);
    assert!(done.output.contains("oops"));
    assert!(server.leftovers().is_empty(), "{:?}", server.leftovers());
    assert!(!home.path().join(".runner").exists());
    let logs = std::fs::read_dir(home.path().join("_diag")).unwrap();
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
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo/hello", "one", &["x"]).unwrap();
    let job = queue(&server, "false\necho never");
    let mut listener = Listener::start(&home, &config, &[]);
    listener
        .until("Job build completed with result: Failed")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    let done = server.job(job.id).unwrap();
    assert_eq!(done.conclusion.as_deref(), Some("failure"));
    assert!(
        !done.output.contains("never"),
        "a step ends at its first failure"
    );
}

#[tokio::test]
async fn a_job_sees_neither_its_configuration_nor_its_path() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "env");
    let listener = Listener::start(&home, &config, &[("HOME", "/somewhere")]);
    assert_eq!(listener.end().await.0, Some(0));
    let output = server.job(job.id).unwrap().output;
    assert!(!output.contains("ACTIONS_RUNNER_INPUT"), "{output}");
    assert!(!output.contains(&config));
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
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let hook = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let before = hook("before.sh", "echo first");
    let after = hook("after.sh", "echo last; exit 3");
    let job = queue(&server, "echo middle");
    let listener = Listener::start(
        &home,
        &config,
        &[
            ("ACTIONS_RUNNER_HOOK_JOB_STARTED", &before),
            ("ACTIONS_RUNNER_HOOK_JOB_COMPLETED", &after),
        ],
    );
    assert_eq!(listener.end().await.0, Some(0));
    let done = server.job(job.id).unwrap();
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
async fn what_a_job_leaves_running_is_ended() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(
        &server,
        "setsid sleep 4711 >/dev/null 2>&1 &\necho \"pid=$!\"",
    );
    let listener = Listener::start(&home, &config, &[]);
    assert_eq!(listener.end().await.0, Some(0));
    let output = server.job(job.id).unwrap().output;
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
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "echo begun; sleep 600");
    let mut listener = Listener::start(&home, &config, &[]);
    server
        .wait_for(PATIENCE, |state| {
            state.job(job.id).unwrap().output.contains("begun")
        })
        .await
        .unwrap();
    server.cancel_job(job.id).unwrap();
    listener
        .until("Job build completed with result: Canceled")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    assert_eq!(
        completed(&server, job.id).await.conclusion.as_deref(),
        Some("cancelled")
    );
}

#[tokio::test]
async fn an_interrupt_ends_an_idle_listener_in_order() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let mut listener = Listener::start(&home, &config, &[]);
    listener.until("Listening for Jobs").await;
    listener.signal(Signal::SIGINT);
    let (code, said, _) = listener.end().await;
    assert_eq!(code, Some(0));
    assert_eq!(said.last().unwrap(), "Exiting...");
    assert!(!server.runners()[0].online, "its session was closed");
}

#[tokio::test]
async fn an_interrupt_cancels_a_running_job() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "echo begun; sleep 600");
    let mut listener = Listener::start(&home, &config, &[]);
    server
        .wait_for(PATIENCE, |state| {
            state.job(job.id).unwrap().output.contains("begun")
        })
        .await
        .unwrap();
    listener.signal(Signal::SIGINT);
    listener
        .until("Job build completed with result: Canceled")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    assert_eq!(
        completed(&server, job.id).await.conclusion.as_deref(),
        Some("cancelled")
    );
    assert!(server.leftovers().is_empty(), "{:?}", server.leftovers());
}

#[tokio::test]
async fn a_job_whose_listener_is_killed_fails_after_a_grace() {
    let (server, home) = (server().await, home());
    server.change_settings(|settings| {
        settings.session_timeout_ms = 50;
        settings.lease_grace_ms = 50;
    });
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "echo \"begun=$$\"; exec sleep 600");
    let listener = Listener::start(&home, &config, &[]);
    let state = server
        .wait_for(PATIENCE, |state| {
            state.job(job.id).unwrap().output.contains("begun=")
        })
        .await
        .unwrap();
    listener.signal(Signal::SIGKILL);
    let output = &state.job(job.id).unwrap().output;
    let script = output
        .split_once("begun=")
        .unwrap()
        .1
        .trim()
        .parse()
        .unwrap();
    kill(Pid::from_raw(script), Signal::SIGKILL).unwrap();
    assert_eq!(listener.end().await.0, None);
    let done = completed(&server, job.id).await;
    assert_eq!(done.conclusion.as_deref(), Some("failure"));
    assert!(
        done.output.contains("lost communication"),
        "{}",
        done.output
    );
    assert!(server.leftovers().is_empty(), "{:?}", server.leftovers());
}

#[tokio::test]
async fn a_worker_that_is_killed_looks_like_a_job_that_failed_but_for_the_diagnostics() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo/hello", "one", &["x"]).unwrap();
    let job = queue(&server, "cat /proc/$PPID/comm; kill -9 $PPID; sleep 600");
    let mut listener = Listener::start(&home, &config, &[]);
    listener
        .until("Job build completed with result: Failed")
        .await;
    assert_eq!(listener.end().await.0, Some(0));
    let done = completed(&server, job.id).await;
    assert_eq!(done.conclusion.as_deref(), Some("failure"));
    let logs = std::fs::read_dir(home.path().join("_diag")).unwrap();
    let text: String = logs
        .map(|log| std::fs::read_to_string(log.unwrap().path()).unwrap())
        .collect();
    let finished = format!(
        " JobDispatcher] Worker finished for job 00000000-0000-0000-0000-{:012}. Code: 137",
        job.id
    );
    assert!(text.contains(&finished), "{text}");
    assert!(server.leftovers().is_empty(), "{:?}", server.leftovers());
}

#[tokio::test]
async fn a_job_runs_in_a_worker_process_of_the_listener() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(
        &server,
        "cat /proc/$PPID/comm; grep PPid /proc/$PPID/status",
    );
    let listener = Listener::start(&home, &config, &[]);
    let id = listener.child.id().unwrap();
    assert_eq!(listener.end().await.0, Some(0));
    let output = completed(&server, job.id).await.output;
    assert!(output.contains("Runner.Worker"), "{output}");
    assert!(output.contains(&format!("PPid:\t{id}\n")), "{output}");
}

#[tokio::test]
async fn a_listener_hangs_after_its_job_where_that_is_wanted() {
    let (server, home) = (server().await, home());
    server.change_settings(|settings| settings.listener = ListenerFault::HangsAfterJob);
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "true");
    let mut listener = Listener::start(&home, &config, &[]);
    listener.until("completed with result: Succeeded").await;
    let done = completed(&server, job.id).await;
    assert_eq!(done.conclusion.as_deref(), Some("success"));
    listener.signal(Signal::SIGINT);
    assert!(listener.child.try_wait().unwrap().is_none());
    listener.signal(Signal::SIGKILL);
    assert_eq!(listener.end().await.0, None);
}

#[tokio::test]
async fn a_listener_goes_silent_in_its_job_where_that_is_wanted() {
    let (server, home) = (server().await, home());
    server.change_settings(|settings| {
        settings.listener = ListenerFault::SilentInJob;
        settings.session_timeout_ms = 50;
        settings.lease_grace_ms = 50;
    });
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "true");
    let mut listener = Listener::start(&home, &config, &[]);
    listener.until("Running job: build").await;
    let done = completed(&server, job.id).await;
    assert_eq!(done.conclusion.as_deref(), Some("failure"));
    assert!(listener.child.try_wait().unwrap().is_none());
    listener.signal(Signal::SIGKILL);
    let (code, said, _) = listener.end().await;
    assert_eq!(code, None);
    assert!(said.last().unwrap().ends_with("Running job: build"));
}

#[tokio::test]
async fn a_listener_whose_job_request_is_gone_ends_well_without_a_job() {
    let (server, home) = (server().await, home());
    server.change_settings(|settings| {
        settings.listener = ListenerFault::RequestGone;
        settings.session_timeout_ms = 50;
        settings.lease_grace_ms = 50;
    });
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let job = queue(&server, "true");
    let listener = Listener::start(&home, &config, &[]);
    let (code, said, errors) = listener.end().await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(!said.iter().any(|line| line.contains("Running job")));
    assert_eq!(server.job(job.id).unwrap().status, JobStatus::Queued);
}

#[tokio::test]
async fn a_connect_error_is_said_once_however_often_it_comes() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    server.fault(
        github_standin::Fault::new(github_standin::FaultKind::Status {
            status: 503,
            message: None,
            retry_after: None,
        })
        .on("POST", "/_runner/sessions")
        .times(3),
    );
    let mut listener = Listener::start(&home, &config, &[]);
    listener.until("Listening for Jobs").await;
    listener.signal(Signal::SIGINT);
    let (_, _, errors) = listener.end().await;
    assert_eq!(
        errors.matches("Runner connect error: ").count(),
        1,
        "{errors}"
    );
}

#[tokio::test]
async fn a_termination_exits_as_dotnet_does() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let mut listener = Listener::start(&home, &config, &[]);
    listener.until("Listening for Jobs").await;
    listener.signal(Signal::SIGTERM);
    assert_eq!(listener.end().await.0, Some(143));
}

#[tokio::test]
async fn a_runner_deleted_at_github_ends() {
    for (notice, code) in [(DeletionNotice::Revoked, 0), (DeletionNotice::NotFound, 1)] {
        let (server, home) = (server().await, home());
        server.change_settings(|settings| settings.deletion_notice = notice);
        let (id, config) = server.register_runner("octo", "one", &["x"]).unwrap();
        let mut listener = Listener::start(&home, &config, &[]);
        listener.until("Listening for Jobs").await;
        server.drop_runner(id).unwrap();
        assert_eq!(listener.end().await.0, Some(code));
    }
}

#[tokio::test]
async fn a_registration_that_is_gone_is_refused() {
    let (server, home) = (server().await, home());
    let (id, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    server.drop_runner(id).unwrap();
    let (code, _, errors) = Listener::start(&home, &config, &[]).end().await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("registration has been deleted"), "{errors}");
}

#[tokio::test]
async fn a_session_that_another_has_is_a_conflict() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let _other = server.connect(&config).unwrap();
    let (code, _, errors) = Listener::start(&home, &config, &[]).end().await;
    assert_eq!(code, Some(5));
    assert!(
        errors.contains("A session for this runner already exists."),
        "{errors}"
    );
}

#[tokio::test]
async fn a_version_that_is_too_old_is_told_so() {
    let (server, home) = (server().await, home());
    server.change_settings(|settings| {
        settings.minimum_runner_version = Some("2.336.0".to_owned());
    });
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    // The exit code is 1, as of a refused registration, unless a variable asks for its own.
    let variable = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE";
    for (environment, expected) in [
        (vec![], 1),
        (vec![(variable, "0")], 1),
        (vec![(variable, "1")], 7),
    ] {
        let listener = Listener::start(&home, &config, &environment);
        let (code, said, errors) = listener.end().await;
        assert_eq!(code, Some(expected), "{environment:?}");
        assert!(
            errors.starts_with("An error occurred: ") && !errors.contains("deprecated"),
            "GitHub words it: {errors}"
        );
        assert!(said.last().unwrap().ends_with("Listening for Jobs"));
    }
}

#[tokio::test]
async fn an_update_ends_the_listener_and_is_finished_behind_it() {
    let (server, home) = (server().await, home());
    let (id, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    let mut listener = Listener::start(&home, &config, &[]);
    listener.until("Listening for Jobs").await;
    server.update_runner(id).unwrap();
    assert_eq!(listener.end().await.0, Some(4));
    let mark = home.path().join("update.finished");
    let finished = async {
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, finished).await.unwrap();
    // It is the same registration that the new version goes on with.
    let job = queue(&server, "true");
    let again = Listener::start(&home, &config, &[]);
    assert_eq!(again.end().await.0, Some(0));
    assert_eq!(
        server.job(job.id).unwrap().conclusion.as_deref(),
        Some("success")
    );
}

#[tokio::test]
async fn what_is_no_configuration_is_refused() {
    let home = home();
    for config in ["not base64!", "e30="] {
        let (code, _, errors) = Listener::start(&home, config, &[]).end().await;
        assert_eq!(code, Some(1), "{config}");
        assert!(!errors.is_empty());
    }
}

#[tokio::test]
async fn config_sh_registers_a_runner_that_then_runs_a_job() {
    let (server, home) = (server().await, home());
    let token = server.registration_token("octo/hello").unwrap();
    let script = home.path().join("config.sh");
    let mode = std::fs::metadata(&script).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "it can be executed");
    let configure = async |token: &str, environment: &[(&str, &str)]| {
        Command::new(&script)
            .args([
                "--unattended",
                "--ephemeral",
                "--disableupdate",
                "--no-default-labels",
                "--replace",
            ])
            .env(
                "ACTIONS_RUNNER_INPUT_URL",
                format!("{}/octo/hello", server.url()),
            )
            .env("ACTIONS_RUNNER_INPUT_TOKEN", token)
            .env("ACTIONS_RUNNER_INPUT_NAME", "by-token")
            .env("ACTIONS_RUNNER_INPUT_LABELS", "self-hosted,x")
            .envs(environment.iter().copied())
            .output()
            .await
            .unwrap()
    };
    let refused = configure("WRONG", &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("NotFound"));

    let configured = configure(&token, &[]).await;
    assert_eq!(configured.status.code(), Some(0), "{configured:?}");
    let runner = server.runners().remove(0);
    assert_eq!((runner.name.as_str(), runner.labels.len()), ("by-token", 2));

    let job = queue(&server, "echo configured");
    let output = program(&home).arg("run").output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(server.job(job.id).unwrap().output.contains("configured"));
    assert!(server.leftovers().is_empty());
    let again = program(&home).arg("run").output().await.unwrap();
    assert_eq!(
        again.status.code(),
        Some(1),
        "it is not configured any more"
    );
}

#[tokio::test]
async fn a_listener_waits_for_a_github_that_cannot_be_reached() {
    let (server, home) = (server().await, home());
    let (_, config) = server.register_runner("octo", "one", &["x"]).unwrap();
    server.fault(
        github_standin::Fault::new(github_standin::FaultKind::Status {
            status: 503,
            message: None,
            retry_after: None,
        })
        .on("POST", "/_runner/sessions"),
    );
    let mut listener = Listener::start(&home, &config, &[]);
    listener.until("Runner reconnected.").await;
    listener.until("Listening for Jobs").await;
    listener.signal(Signal::SIGINT);
    let (code, _, errors) = listener.end().await;
    assert_eq!(code, Some(0));
    assert!(errors.contains("Retrying until reconnected."), "{errors}");
}

#[tokio::test]
async fn version_and_warmup_need_no_registration() {
    let home = home();
    for (argument, said) in [("--version", "2.335.0\n"), ("warmup", "")] {
        let output = program(&home).arg(argument).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stdout), said);
    }
}
