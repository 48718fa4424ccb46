//! `setup` against GitHub's stand-in and Parameter Store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/person.rs"]
mod person;

use std::time::Duration;

use cli::finding::Mark;
use cli::setup::{Options, Task, Webhook};
use cli::{Error, Exit};
use github_standin::{APP_PRIVATE_KEY, Access, Fault, FaultKind};
use person::{GitHubUser, URL, World};

fn existing(world: &World) -> Options {
    Options {
        app_id: Some(world.server.app_id().to_string()),
        private_key: Some(world.file("key.pem", APP_PRIVATE_KEY)),
        ..Options::default()
    }
}

fn rotate() -> Options {
    Options {
        task: Task::RotateWebhookSecret,
        ..Options::default()
    }
}

fn check() -> Options {
    Options {
        task: Task::Check,
        ..Options::default()
    }
}

/// A deployment whose secrets are there.
async fn set_up() -> World {
    let world = World::new().await;
    let report = world.run(&existing(&world)).await.unwrap();
    assert!(report.well(), "{report:#?}");
    world.forget();
    world
}

#[tokio::test]
async fn an_existing_apps_secrets_are_checked_written_and_set_at_github() {
    let world = World::new().await;
    let report = world.run(&existing(&world)).await.unwrap();
    assert!(report.well(), "{report:#?}");
    assert_eq!(world.value("app-id"), world.server.app_id().to_string());
    assert_eq!(world.value("private-key"), APP_PRIVATE_KEY.trim());
    let secret = world.value("webhook-secret");
    assert!(secret.len() == 64 && secret.chars().all(|c| c.is_ascii_hexdigit()));
    assert_eq!(world.server.webhook_secret(), secret);
    assert!(!world.said().contains(&secret), "the secret is printed");
    // A second run changes nothing.
    world.forget();
    let report = world.run(&Options::default()).await.unwrap();
    assert!(report.well() && report.written.is_empty(), "{report:#?}");
    assert_eq!(world.value("webhook-secret"), secret);
    assert!(!world.calls().contains("PutParameter"), "{}", world.calls());
}

#[tokio::test]
async fn nothing_is_written_for_an_app_that_cannot_be_used() {
    let world = World::new().await;
    let garbage = world.file("hello.pem", "hello");
    for (options, told) in [
        (
            Options {
                app_id: Some("4711".to_owned()),
                ..existing(&world)
            },
            "GitHub does not know the App with this key",
        ),
        (
            Options {
                private_key: Some(garbage),
                ..existing(&world)
            },
            "neither PEM nor base64",
        ),
        (
            Options {
                private_key: Some("/no/such/file".into()),
                ..existing(&world)
            },
            "/no/such/file cannot be read",
        ),
    ] {
        let error = world.run(&options).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.to_string().contains("Nothing was written"), "{error}");
    }
    assert!(!world.calls().contains("PutParameter"), "{}", world.calls());
}

#[tokio::test]
async fn an_unreachable_github_is_a_sentence_and_nothing_is_written() {
    let world = World::new().await;
    world.server.stop().await;
    let error = world.run(&existing(&world)).await.unwrap_err();
    assert!(error.to_string().contains("--github-api-url"), "{error}");
    assert!(!world.calls().contains("PutParameter"), "{}", world.calls());
    // Without an App, neither is a page opened.
    let error = world.run(&Options::default()).await.unwrap_err();
    assert!(error.to_string().contains("Nothing was written"), "{error}");
    assert!(world.is_empty());
}

#[tokio::test]
async fn a_check_writes_nothing_and_names_the_command_that_makes_what_is_missing() {
    let world = World::new().await;
    let error = world.refused(&check()).await;
    assert!(
        error.contains("app-id") && error.contains("webhook-secret"),
        "{error}"
    );
    assert!(error.contains("run fargate-runners setup"), "{error}");
    let world = set_up().await;
    world.server.set_webhook(None);
    world.hook("http://elsewhere.example/", "form");
    let report = world.run(&check()).await.unwrap();
    assert!(!report.well());
    for line in [
        "✗ webhook URL is http://elsewhere.example/, not",
        "✗ webhook content type is form, not json",
        "→ fargate-runners setup --configure-webhook",
    ] {
        assert!(world.said().contains(line), "{}", world.said());
    }
    assert!(!world.calls().contains("PutParameter"), "{}", world.calls());
}

#[tokio::test]
async fn half_written_secrets_are_named_with_the_command() {
    let world = set_up().await;
    world.remove("private-key");
    let error = world.refused(&check()).await;
    assert!(
        error.contains("/private-key not in Parameter Store (the others are there)"),
        "{error}"
    );
    world.remove("app-id");
    let error = world.refused(&Options::default()).await;
    assert!(
        error.contains("webhook-secret is in Parameter Store, but neither"),
        "{error}"
    );
    assert!(error.contains("setup --remove"), "{error}");
}

#[tokio::test]
async fn an_installation_that_may_less_than_the_app_is_told_so() {
    let world = set_up().await;
    world.server.set_permission("octo", "administration", None);
    let report = world.run(&check()).await.unwrap();
    assert!(!report.well());
    assert!(
        world
            .said()
            .contains("(octo) has not been given administration"),
        "{}",
        world.said()
    );
    assert!(world.said().contains("Review request"));
    world.server.uninstall("octo");
    world.forget();
    world.run(&check()).await.unwrap();
    assert!(
        world.said().contains("installed nowhere"),
        "{}",
        world.said()
    );
}

#[tokio::test]
async fn where_github_is_not_given_the_secret_it_is_said() {
    let world = World::new().await;
    let options = Options {
        webhook: Webhook::Never,
        ..existing(&world)
    };
    let report = world.run(&options).await.unwrap();
    assert!(!report.well());
    assert!(
        world.said().contains("in Parameter Store only"),
        "{}",
        world.said()
    );
    // The next check knows it too.
    world.forget();
    let report = world.run(&check()).await.unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|one| one.mark == Mark::Bad && one.text.contains("a change was not finished")),
        "{report:#?}"
    );
    let report = world
        .run(&Options {
            webhook: Webhook::Always,
            ..Options::default()
        })
        .await;
    assert!(report.unwrap().well());
    assert_eq!(world.server.webhook_secret(), world.value("webhook-secret"));
    assert!(world.run(&check()).await.unwrap().well());
}

// --- Rotation ---

#[tokio::test]
async fn a_rotation_is_written_waited_for_and_only_then_set_at_github() {
    let world = set_up().await;
    let old = world.value("webhook-secret");
    assert!(world.run(&rotate()).await.unwrap().well());
    let stored = world.value("webhook-secret");
    let (new, kept) = stored.split_once('\n').unwrap();
    assert_eq!((kept, new == old), (&*old, false));
    assert_eq!(world.server.webhook_secret(), new);
    assert_eq!(world.waited(), Duration::from_mins(5));
    // The next one forgets the secret before the last.
    assert!(world.run(&rotate()).await.unwrap().well());
    let stored = world.value("webhook-secret");
    assert_eq!(stored.lines().count(), 2);
    assert_eq!(stored.lines().nth(1), Some(new));
    assert!(world.run(&check()).await.unwrap().well());
}

/// Where a rotation is interrupted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// Ctrl-C during its five minutes.
    Waiting,
    /// GitHub refuses the secret.
    Refused,
    /// GitHub takes the secret, and its answer is lost.
    AnswerLost,
    /// Parameter Store does not take the note that it is over.
    Noting,
}

#[tokio::test]
async fn a_rotation_that_was_interrupted_anywhere_goes_on_and_drops_no_secret() {
    for cut in [Cut::Waiting, Cut::Refused, Cut::AnswerLost, Cut::Noting] {
        let world = set_up().await;
        let old = world.value("webhook-secret");
        for _ in 0..3 {
            cut_off(&world, cut).await;
            let accepted = world.value("webhook-secret");
            let signing = world.server.webhook_secret();
            assert!(
                accepted.lines().any(|one| one == signing),
                "{cut:?}: {accepted} / {signing}"
            );
            assert_eq!(
                accepted.lines().count(),
                2,
                "{cut:?}: the same rotation goes on"
            );
        }
        world.forget();
        let report = world.run(&check()).await.unwrap();
        assert!(!report.well(), "{cut:?}: a check tells that it is not over");
        assert!(world.run(&rotate()).await.unwrap().well(), "{cut:?}");
        assert!(
            world.said().contains("going on with a rotation"),
            "{}",
            world.said()
        );
        let accepted = world.value("webhook-secret");
        assert_eq!(
            accepted.lines().next(),
            Some(&*world.server.webhook_secret())
        );
        assert_eq!(accepted.lines().nth(1), Some(&*old), "{cut:?}");
        assert!(world.run(&check()).await.unwrap().well(), "{cut:?}");
    }
}

async fn cut_off(world: &World, cut: Cut) {
    let fault = |after| Fault {
        method: Some("PATCH".to_owned()),
        path: Some("/app/hook/config".to_owned()),
        times: 9,
        skip: 0,
        after,
        kind: FaultKind::Disconnect,
    };
    match cut {
        Cut::Waiting => {
            world.interrupt_wait(true);
            world.run_until_wait(&rotate()).await;
            world.interrupt_wait(false);
            return;
        }
        Cut::Refused => world.server.fault(fault(false)),
        Cut::AnswerLost => world.server.fault(fault(true)),
        Cut::Noting => world.deny_after_first_write(),
    }
    let error = world.run(&rotate()).await.unwrap_err();
    if cut != Cut::Noting {
        assert!(
            error.to_string().contains("run the same command again"),
            "{error}"
        );
    }
    world.server.clear_faults();
    world.allow();
}

#[tokio::test]
async fn a_rotation_by_an_operator_who_may_not_decrypt_takes_the_secret_from_a_file() {
    let world = set_up().await;
    let old = world.value("webhook-secret");
    world.deny("Decrypt", "");
    let error = world.refused(&rotate()).await;
    assert!(error.contains("--app-id ID --private-key FILE"), "{error}");
    let app = existing(&world);
    let error = world
        .run(&Options {
            task: Task::RotateWebhookSecret,
            ..app.clone()
        })
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("--webhook-secret-file"),
        "{error}"
    );
    let options = Options {
        task: Task::RotateWebhookSecret,
        webhook_secret_file: Some(world.file("old", &old)),
        ..app
    };
    assert!(world.run(&options).await.unwrap().well());
    let stored = world.value("webhook-secret");
    assert_eq!(stored.lines().nth(1), Some(&*old));
    // A rotation that was not finished holds a secret that nobody here can read.
    world.interrupt_wait(true);
    world.run_until_wait(&options).await;
    world.interrupt_wait(false);
    let error = world.refused(&options).await;
    assert!(error.contains("secretsReaders"), "{error}");
    assert!(world.value("webhook-secret").contains(&old));
}

#[tokio::test]
async fn where_nothing_tells_whether_a_rotation_is_over_nothing_is_dropped() {
    let world = set_up().await;
    world.deny("DescribeParameters", "");
    let mut seen = vec![world.value("webhook-secret")];
    for _ in 0..3 {
        world.interrupt_wait(true);
        world.run_until_wait(&rotate()).await;
        world.interrupt_wait(false);
        let stored = world.value("webhook-secret");
        assert!(
            seen.iter()
                .all(|old| stored.contains(old.lines().next().unwrap())),
            "{stored}"
        );
        seen.push(stored);
    }
}

// --- Keys, removal ---

#[tokio::test]
async fn secrets_get_the_deployments_key_as_soon_as_it_has_one() {
    let world = set_up().await;
    assert_eq!(world.key("private-key"), "alias/aws/ssm");
    world.run(&check()).await.unwrap();
    assert!(
        world
            .said()
            .contains("private-key can be read by all of this account")
    );
    let before = world.value("private-key");
    world.aws.state().secrets_key = Some("alias/fargate-runners-secrets".to_owned());
    assert!(world.run(&Options::default()).await.unwrap().well());
    for name in ["app-id", "private-key", "webhook-secret"] {
        assert_eq!(world.key(name), "alias/fargate-runners-secrets");
    }
    assert_eq!(world.value("private-key"), before);
    assert!(
        world.run(&check()).await.unwrap().well(),
        "{}",
        world.said()
    );
    // Then only the functions may read them.
    world.deny("Decrypt", "");
    world.forget();
    assert!(world.run(&check()).await.unwrap().well());
    assert!(
        world.said().contains("only the functions may decrypt them"),
        "{}",
        world.said()
    );
}

#[tokio::test]
async fn removing_deletes_everything_of_the_deployment() {
    let world = set_up().await;
    for index in 0..23 {
        let name = format!("/fargate-runners/runners/r{index}/0");
        let entry = (time::OffsetDateTime::now_utc(), "x".to_owned());
        world.aws.state().parameters.insert(name, entry);
    }
    let options = Options {
        task: Task::Remove,
        ..Options::default()
    };
    let report = world.run(&options).await.unwrap();
    assert_eq!(report.deleted.len(), 27);
    assert!(world.is_empty());
}

// --- A new App ---

#[tokio::test]
async fn an_app_is_made_with_the_browsers_help_and_its_secrets_are_stored() {
    let world = World::new().await;
    world.user(GitHubUser::Installs);
    let report = world.run(&Options::default()).await.unwrap();
    assert!(report.well(), "{report:#?}\n{}", world.said());
    assert_eq!(world.value("app-id"), world.server.app_id().to_string());
    assert_eq!(world.value("webhook-secret"), world.server.webhook_secret());
    assert!(world.value("private-key").starts_with("-----BEGIN"));
    assert!(report.made.unwrap().ends_with("/apps/fargate-runners-octo"));
    assert!(world.said().contains("/installations/new"));
    assert_eq!(world.hook_url().await, URL);
    world.forget();
    assert!(
        world.run(&check()).await.unwrap().well(),
        "{}",
        world.said()
    );
}

#[tokio::test]
async fn without_a_browser_the_code_is_pasted() {
    let world = World::new().await;
    world.user(GitHubUser::Pastes);
    let report = world.run(&Options::default()).await.unwrap();
    assert!(report.well(), "{report:#?}\n{}", world.said());
    assert!(world.said().contains("data:text/html"), "{}", world.said());
    assert_eq!(world.value("app-id"), world.server.app_id().to_string());
}

#[tokio::test]
async fn an_expired_code_leaves_nothing_behind() {
    let world = World::new().await;
    world.user(GitHubUser::TooLate);
    let error = world.run(&Options::default()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Failed);
    let told = error.to_string();
    assert!(told.contains("works once, and for an hour"), "{told}");
    assert!(told.contains("run fargate-runners setup again"), "{told}");
    assert!(world.is_empty());
}

#[tokio::test]
async fn an_app_whose_secrets_cannot_be_written_leaves_none() {
    let world = World::new().await;
    world.user(GitHubUser::Installs);
    // Found out before an App is made.
    world.deny("PutParameter", "setup-rehearsal");
    let error = world.run(&Options::default()).await.unwrap_err();
    assert!(matches!(error, Error::Aws(_)), "{error}");
    assert_eq!(world.server.app_id(), 1234, "no App was made");
    world.allow();
    // Found out between two of them.
    world.deny("PutParameter", "webhook-secret");
    let error = world.refused(&Options::default()).await;
    assert!(
        error.contains("Nothing is left in Parameter Store"),
        "{error}"
    );
    assert!(error.contains("generate a new key"), "{error}");
    assert!(world.is_empty());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = world
        .run(&Options {
            port,
            ..Options::default()
        })
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&format!("port {port}")),
        "{error}"
    );
    assert!(error.to_string().contains("--port"), "{error}");
    assert!(world.is_empty());
}

#[tokio::test]
async fn a_new_app_needs_the_webhooks_address() {
    let mut world = World::new().await;
    world.place.webhook_url = None;
    let error = world.refused(&Options::default()).await;
    assert!(error.contains("cdk deploy"), "{error}");
    // An existing App's secrets may be stored before; that GitHub has no secret is said.
    let report = world.run(&existing(&world)).await.unwrap();
    assert!(!report.well());
    assert!(
        world.said().contains("after cdk deploy"),
        "{}",
        world.said()
    );
}

// --- GitHub's settings and the deployment's ---

#[tokio::test]
async fn runner_groups_are_compared_at_organization_scope() {
    let world = set_up().await;
    world.policy("organization", "octo", "octo/hello");
    let report = world.run(&check()).await.unwrap();
    assert!(!report.well());
    assert!(
        world.said().contains("runner group Default of octo admits all repositories, but runners of every kind are for octo/hello"),
        "{}", world.said()
    );
    world.group("Default", &["octo/hello"]);
    world.forget();
    let report = world.run(&check()).await.unwrap();
    assert!(report.well(), "{}", world.said());
    let (name, read) = ("organization_self_hosted_runners", Some(Access::Read));
    world.server.set_permission("octo", name, read);
    world.forget();
    assert!(!world.run(&check()).await.unwrap().well());
    assert!(
        world
            .said()
            .contains("has not been given organization_self_hosted_runners")
    );
}

#[tokio::test]
async fn before_the_stack_is_deployed_a_check_says_that_it_compares_nothing() {
    let world = World::new().await;
    world.aws.state().parameters.clear();
    assert!(
        world.run(&existing(&world)).await.unwrap().well(),
        "secrets may be written before"
    );
    let report = world.run(&check()).await.unwrap();
    assert!(!report.well());
    assert!(
        world.said().contains("cdk deploy writes it"),
        "{}",
        world.said()
    );
}
