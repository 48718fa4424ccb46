//! Configurations: by token, and those that are none.

use std::os::unix::fs::PermissionsExt as _;

use tokio::process::Command;

use crate::rig::{Listener, home, program, queue, server};

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
async fn version_and_warmup_need_no_registration() {
    let home = home();
    for (argument, said) in [("--version", "2.335.0\n"), ("warmup", "")] {
        let output = program(&home).arg(argument).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stdout), said);
    }
}
