//! How the listener waits and ends without a job.

use std::time::Duration;

use github_standin::DeletionNotice;
use nix::sys::signal::Signal;
use tokio::time::timeout;

use crate::rig::{PATIENCE, Rig};

#[tokio::test]
async fn an_interrupt_ends_an_idle_listener_in_order() {
    let rig = Rig::new().await;
    let listener = rig.listening().await;
    listener.signal(Signal::SIGINT);
    let (code, said, _) = listener.end().await;
    assert_eq!(code, Some(0));
    assert_eq!(said.last().unwrap(), "Exiting...");
    assert!(!rig.server.runners()[0].online, "its session was closed");
}

#[tokio::test]
async fn a_connect_error_is_said_once_however_often_it_comes() {
    let rig = Rig::new().await;
    rig.refuse_sessions(3);
    let listener = rig.listening().await;
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
    let rig = Rig::new().await;
    let listener = rig.listening().await;
    listener.signal(Signal::SIGTERM);
    assert_eq!(listener.end().await.0, Some(143));
}

#[tokio::test]
async fn a_runner_deleted_at_github_ends() {
    for (notice, code) in [(DeletionNotice::Revoked, 0), (DeletionNotice::NotFound, 1)] {
        let rig = Rig::with(|settings| settings.deletion_notice = notice).await;
        let listener = rig.listening().await;
        rig.server.drop_runner(rig.runner).unwrap();
        assert_eq!(listener.end().await.0, Some(code));
    }
}

#[tokio::test]
async fn a_registration_that_is_gone_is_refused() {
    let rig = Rig::new().await;
    rig.server.drop_runner(rig.runner).unwrap();
    let (code, _, errors) = rig.start().end().await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("registration has been deleted"), "{errors}");
}

#[tokio::test]
async fn a_session_that_another_has_is_a_conflict() {
    let rig = Rig::new().await;
    let _other = rig.server.connect(&rig.config).unwrap();
    let (code, _, errors) = rig.start().end().await;
    assert_eq!(code, Some(5));
    assert!(
        errors.contains("A session for this runner already exists."),
        "{errors}"
    );
}

#[tokio::test]
async fn a_version_that_is_too_old_is_told_so() {
    let rig = Rig::with(|settings| {
        settings.minimum_runner_version = Some("2.336.0".to_owned());
    })
    .await;
    // The exit code is 1, as of a refused registration, unless a variable asks for its own.
    let variable = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE";
    for (environment, expected) in [
        (vec![], 1),
        (vec![(variable, "0")], 1),
        (vec![(variable, "1")], 7),
    ] {
        let listener = rig.start_in(&environment);
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
    let rig = Rig::new().await;
    let listener = rig.listening().await;
    rig.server.update_runner(rig.runner).unwrap();
    assert_eq!(listener.end().await.0, Some(4));
    let mark = rig.home.path().join("update.finished");
    let finished = async {
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, finished).await.unwrap();
    // It is the same registration that the new version goes on with.
    let job = rig.queue("true");
    let again = rig.start();
    assert_eq!(again.end().await.0, Some(0));
    assert_eq!(
        rig.server.job(job.id).unwrap().conclusion.as_deref(),
        Some("success")
    );
}

#[tokio::test]
async fn a_listener_waits_for_a_github_that_cannot_be_reached() {
    let rig = Rig::new().await;
    rig.refuse_sessions(1);
    let mut listener = rig.start();
    listener.until("Runner reconnected.").await;
    listener.until("Listening for Jobs").await;
    listener.signal(Signal::SIGINT);
    let (code, _, errors) = listener.end().await;
    assert_eq!(code, Some(0));
    assert!(errors.contains("Retrying until reconnected."), "{errors}");
}
