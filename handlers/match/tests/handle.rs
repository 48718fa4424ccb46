//! The handler over mocked AWS: what it answers, and how many calls that takes.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
use aws_sdk_ecs::operation::list_task_definition_families::ListTaskDefinitionFamiliesOutput;
use aws_sdk_ecs::types::{ContainerDefinition, Tag, TaskDefinition};
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::types::Parameter;
use aws_sdk_ssm::types::error::ParameterNotFound;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use catalogue::{Catalogue, Limits, Needs, Offer};
use lambda_runtime::Diagnostic;
use matching::{CatalogueCache, Config, Deps, Error, handle};
use protocol::{Definition, LabelSet, Matched, SizeOverride};
use runtime::settings::Settings;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn order(labels: &[&str]) -> Value {
    json!({
        "job": {
            "id": 4242, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
            "repository": "octo/hello", "ownerType": "Organization", "private": true,
            "labels": labels, "installationId": null, "queuedAt": "1970-01-01T00:00:00Z"
        },
        "recheck": false,
        "notBefore": null
    })
}

fn offer(family: &str, labels: &str) -> Offer {
    Offer {
        definition: Definition {
            family: family.to_owned(),
            ..Definition::default()
        },
        deployment: Some("fargate-runners".to_owned()),
        labels: LabelSet::parse(labels),
        containers: vec!["runner".to_owned()],
        ..Offer::default()
    }
}

/// ECS with families of the given labels and one container each, and how often it was asked.
struct Ecs {
    list: Rule,
    describe: Rule,
    client: aws_sdk_ecs::Client,
}

fn ecs(families: &'static [(&'static str, &'static str)], container: &'static str) -> Ecs {
    let list = mock!(aws_sdk_ecs::Client::list_task_definition_families).then_output(move || {
        ListTaskDefinitionFamiliesOutput::builder()
            .set_families(Some(
                families
                    .iter()
                    .map(|(name, _)| (*name).to_owned())
                    .collect(),
            ))
            .build()
    });
    let describe =
        mock!(aws_sdk_ecs::Client::describe_task_definition).then_compute_output(move |request| {
            let (_, labels) = families
                .iter()
                .find(|(name, _)| request.task_definition() == Some(name))
                .unwrap();
            DescribeTaskDefinitionOutput::builder()
                .task_definition(
                    TaskDefinition::builder()
                        .container_definitions(
                            ContainerDefinition::builder().name(container).build(),
                        )
                        .build(),
                )
                .tags(Tag::builder().key("GH:labels").value(*labels).build())
                .tags(
                    Tag::builder()
                        .key("fargate-runners:prefix")
                        // Families named otherwise belong to another deployment.
                        .value(if request.task_definition().unwrap().starts_with("f-") {
                            "fargate-runners"
                        } else {
                            "fargate-runners-dev"
                        })
                        .build(),
                )
                .build()
        });
    let client = mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&list, &describe]);
    Ecs {
        list,
        describe,
        client,
    }
}

impl Ecs {
    /// How often families were listed and definitions described.
    fn calls(&self) -> (usize, usize) {
        (self.list.num_calls(), self.describe.num_calls())
    }
}

fn ssm(rule: &Rule) -> aws_sdk_ssm::Client {
    mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [rule])
}

fn published(catalogue: &Catalogue) -> Rule {
    holds(catalogue.encode().unwrap())
}

fn holds(text: String) -> Rule {
    mock!(aws_sdk_ssm::Client::get_parameter)
        .match_requests(|request| request.name() == Some("/fargate-runners/catalogue"))
        .then_output(move || {
            GetParameterOutput::builder()
                .parameter(Parameter::builder().value(&text).build())
                .build()
        })
}

fn nothing_published() -> Rule {
    mock!(aws_sdk_ssm::Client::get_parameter)
        .then_error(|| GetParameterError::ParameterNotFound(ParameterNotFound::builder().build()))
}

/// An error as the JSON protocol writes it.
fn error_body(code: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"no"}}"#)
}

fn deps(ecs: &Ecs, ssm_rule: &Rule) -> Deps {
    deps_with(&[], ecs, ssm_rule)
}

fn deps_with(variables: &[(&str, &str)], ecs: &Ecs, ssm_rule: &Rule) -> Deps {
    let required = [("DEPLOYMENT", "fr"), ("PREFIX", "fargate-runners")];
    let settings = Settings::from_pairs(required.iter().chain(variables).copied());
    let config = Config::from_settings(&settings).unwrap();
    Deps {
        cache: CatalogueCache::new(&config, ecs.client.clone(), ssm(ssm_rule)),
        deployment: config.deployment,
        trust: config.trust,
    }
}

async fn family(deps: &Deps, labels: &[&str], now: OffsetDateTime) -> Result<String, Error> {
    handle(deps, order(labels), now)
        .await
        .map(|matched| matched.definition.family)
}

#[tokio::test]
async fn a_warm_sandbox_makes_no_call() {
    let (ecs, ssm) = (
        ecs(&[("f-a", "linux a"), ("f-b", "linux b")], "runner"),
        nothing_published(),
    );
    let deps = deps(&ecs, &ssm);
    for second in 0..60 {
        let now = NOW + Duration::seconds(second);
        assert_eq!(family(&deps, &["linux", "b"], now).await.unwrap(), "f-b");
    }
    assert_eq!((ssm.num_calls(), ecs.calls()), (1, (1, 2)));
}

#[tokio::test]
async fn an_expired_catalogue_is_refreshed_once_by_all_who_ask_together() {
    let (ecs, ssm) = (ecs(&[("f-a", "linux a")], "runner"), nothing_published());
    let deps = deps(&ecs, &ssm);
    family(&deps, &["a"], NOW).await.unwrap();
    let later = NOW + Duration::seconds(60);
    let (one, two, three) = tokio::join!(
        family(&deps, &["a"], later),
        family(&deps, &["a"], later),
        family(&deps, &["a"], later),
    );
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!((ssm.num_calls(), ecs.calls()), (2, (2, 2)));
}

#[tokio::test]
async fn a_published_catalogue_spares_ecs() {
    let ecs = ecs(&[], "runner");
    let mut spot = offer("f-spot", "linux");
    spot.definition.capacity = vec!["FARGATE_SPOT".to_owned(), "FARGATE".to_owned()];
    spot.definition.cpu = Some(1024);
    let catalogue = Catalogue {
        read_at: NOW - Duration::minutes(14),
        turn: 0,
        offers: vec![spot],
    };
    let ssm = published(&catalogue);
    let matched = handle(&deps(&ecs, &ssm), order(&["LINUX"]), NOW)
        .await
        .unwrap();
    assert_eq!(
        matched,
        Matched {
            definition: Definition {
                family: "f-spot".to_owned(),
                capacity: vec!["FARGATE_SPOT".to_owned(), "FARGATE".to_owned()],
                cpu: Some(1024),
                ..Definition::default()
            },
            offered: LabelSet::parse("linux"),
            size: None,
        }
    );
    assert_eq!((ssm.num_calls(), ecs.calls()), (1, (0, 0)));
}

#[tokio::test]
async fn a_definition_of_another_deployment_does_not_exist_here() {
    for trusted in ["deployment", "prefix"] {
        let variables = [("TRUSTED_DEFINITIONS", trusted)];
        let (ecs, ssm) = (
            ecs(
                &[("dev-narrow", "linux"), ("f-wide", "linux x64")],
                "runner",
            ),
            nothing_published(),
        );
        let found = deps_with(&variables, &ecs, &ssm);
        assert_eq!(family(&found, &["linux"], NOW).await.unwrap(), "f-wide");
        // Nor where it was published, by a sweep that believed it.
        let mut offers = vec![offer("dev-narrow", "linux"), offer("f-wide", "linux x64")];
        offers[0].deployment = Some("fargate-runners-dev".to_owned());
        let ssm = published(&Catalogue {
            read_at: NOW,
            turn: 0,
            offers,
        });
        let found = deps_with(&variables, &ecs, &ssm);
        assert_eq!(family(&found, &["linux"], NOW).await.unwrap(), "f-wide");
    }
}

#[tokio::test]
async fn a_definition_without_a_deployment_serves_only_where_the_prefix_is_trusted() {
    let mut offers = vec![offer("f-own", "linux x64"), offer("f-teams", "linux")];
    offers[1].deployment = None;
    let catalogue = Catalogue {
        read_at: NOW,
        turn: 0,
        offers,
    };
    for (trusted, served) in [("deployment", "f-own"), ("prefix", "f-teams")] {
        let (ecs, ssm) = (ecs(&[], "runner"), published(&catalogue));
        let found = deps_with(&[("TRUSTED_DEFINITIONS", trusted)], &ecs, &ssm);
        assert_eq!(family(&found, &["linux"], NOW).await.unwrap(), served);
    }
}

#[tokio::test]
async fn what_the_version_before_published_is_read_again_from_ecs() {
    let text = Catalogue {
        read_at: NOW,
        turn: 0,
        offers: vec![offer("f-published", "linux")],
    }
    .encode()
    .unwrap();
    let (ecs, ssm) = (
        ecs(&[("f-now", "linux")], "runner"),
        holds(text.replacen("v3:", "v2:", 1)),
    );
    let found = family(&deps(&ecs, &ssm), &["linux"], NOW).await.unwrap();
    assert_eq!((found.as_str(), ecs.calls()), ("f-now", (1, 1)));
}

#[tokio::test]
async fn a_publication_too_old_or_unreadable_or_denied_is_passed_over() {
    let old = Catalogue {
        read_at: NOW - Duration::minutes(15),
        turn: 0,
        offers: vec![offer("f-old", "linux")],
    };
    let denied = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .http_status(400, Some(error_body("AccessDeniedException")))
        .build();
    for ssm in [published(&old), holds("v9:nonsense".to_owned()), denied] {
        let ecs = ecs(&[("f-now", "linux")], "runner");
        let found = family(&deps(&ecs, &ssm), &["linux"], NOW).await.unwrap();
        assert_eq!(found, "f-now");
        assert_eq!(ecs.calls(), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_ssm_is_waited_out_instead_of_turned_on_ecs() {
    let throttled = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .repeatedly()
        .build();
    let ecs = ecs(&[("f-a", "linux")], "runner");
    let error = family(&deps(&ecs, &throttled), &["linux"], NOW)
        .await
        .unwrap_err();
    assert_eq!(Diagnostic::from(error).error_type, "Throttled");
    assert_eq!(ecs.calls(), (0, 0));
}

#[tokio::test]
async fn a_failed_read_is_not_kept() {
    let unavailable = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .http_status(400, Some(error_body("AccessDeniedException")))
        .times(2)
        .build();
    let list = mock!(aws_sdk_ecs::Client::list_task_definition_families)
        .sequence()
        .http_status(400, Some(error_body("AccessDeniedException")))
        .output(|| {
            ListTaskDefinitionFamiliesOutput::builder()
                .families("f-a")
                .build()
        })
        .build();
    let good = ecs(&[("f-a", "linux")], "runner");
    let ecs = Ecs {
        client: mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&list, &good.describe]),
        list,
        describe: good.describe.clone(),
    };
    let deps = deps(&ecs, &unavailable);
    let error = family(&deps, &["linux"], NOW).await.unwrap_err();
    assert_eq!(Diagnostic::from(error).error_type, "AwsRefused");
    assert_eq!(family(&deps, &["linux"], NOW).await.unwrap(), "f-a");
}

#[tokio::test]
async fn a_definition_registered_after_the_publication_is_found() {
    let ecs = ecs(&[("f-new", "linux new"), ("f-old", "linux")], "runner");
    let catalogue = Catalogue {
        read_at: NOW - Duration::minutes(1),
        turn: 0,
        offers: vec![offer("f-old", "linux")],
    };
    let ssm = published(&catalogue);
    let deps = deps(&ecs, &ssm);
    assert_eq!(family(&deps, &["new"], NOW).await.unwrap(), "f-new");
    assert_eq!(ecs.calls(), (1, 2));

    // What was read directly outlives the publication that is older than it.
    let later = NOW + Duration::seconds(61);
    assert_eq!(family(&deps, &["new"], later).await.unwrap(), "f-new");
    assert_eq!((ssm.num_calls(), ecs.calls()), (2, (1, 2)));
}

#[tokio::test]
async fn unmatched_jobs_in_a_row_read_ecs_once() {
    let (ecs, ssm) = (ecs(&[("f-a", "linux")], "runner"), nothing_published());
    let deps = deps(&ecs, &ssm);
    for second in 0..10 {
        let error = family(&deps, &["gpu"], NOW + Duration::seconds(second))
            .await
            .unwrap_err();
        let answer = Diagnostic::from(error);
        assert_eq!(answer.error_type, "Unmatched");
        assert!(
            answer.error_message.contains("f-a lacks [gpu]"),
            "{answer:?}"
        );
    }
    assert_eq!(ecs.calls(), (1, 1));
    family(&deps, &["gpu"], NOW + Duration::seconds(10))
        .await
        .unwrap_err();
    assert_eq!(ecs.calls(), (2, 2));
}

#[tokio::test]
async fn self_hosted_alone_is_answered_without_a_second_look() {
    let (ecs, ssm) = (
        ecs(&[("f-a", "self-hosted linux")], "runner"),
        nothing_published(),
    );
    let deps = deps(&ecs, &ssm);
    for now in [NOW, NOW + Duration::seconds(30)] {
        let error = family(&deps, &["self-hosted"], now).await.unwrap_err();
        assert_eq!(Diagnostic::from(error).error_type, "Unmatched");
    }
    assert_eq!(ecs.calls(), (1, 1));
}

#[tokio::test]
async fn a_definition_without_the_container_is_named_with_those_it_has() {
    let (ecs, ssm) = (ecs(&[("f-a", "linux")], "web"), nothing_published());
    let error = family(&deps(&ecs, &ssm), &["linux"], NOW)
        .await
        .unwrap_err();
    let answer = Diagnostic::from(error);
    assert_eq!(answer.error_type, "ContainerMissing");
    assert_eq!(
        answer.error_message,
        "task definition f-a would serve the job but has no container `runner`; it has [web]. \
         Rename the one that runs the agent"
    );
}

#[tokio::test]
async fn an_input_that_is_no_order_is_told_so() {
    let (ecs, ssm) = (ecs(&[], "runner"), nothing_published());
    for input in [Value::Null, json!({}), json!({"job": {"id": "x"}})] {
        let error = handle(&deps(&ecs, &ssm), input, NOW).await.unwrap_err();
        assert_eq!(Diagnostic::from(error).error_type, "BadInput");
    }
    assert_eq!(ssm.num_calls(), 0);
}

/// A catalogue with the default runner, which may grow, one that may not, and one on instances.
fn sized() -> Catalogue {
    let on_fargate = |family: &str, labels: &str| {
        let mut offer = offer(family, labels);
        offer.definition.cpu = Some(2_048);
        offer.definition.memory = Some(4_096);
        offer.definition.network_mode = Some("awsvpc".to_owned());
        offer
    };
    let mut large = on_fargate("f-large", "self-hosted linux x64");
    large.limits = Limits {
        cpu: Some(16_384),
        memory: Some(65_536),
        disk: Some(200),
    };
    let fixed = on_fargate("f-fixed", "self-hosted linux x64 fixed cpu-8");
    let mut docker = on_fargate("f-docker", "self-hosted linux x64 docker");
    docker.definition.capacity = vec!["machines".to_owned()];
    let mut limited = on_fargate("f-limited", "self-hosted linux arm64 limited");
    (limited.limits, limited.beside) = (large.limits, Some(512));
    let mut beside = on_fargate("f-beside", "self-hosted linux x64 database");
    beside.needs = Some(Needs {
        cpu: 700,
        memory: 3_000,
    });
    Catalogue {
        read_at: NOW,
        turn: 0,
        offers: vec![large, fixed, docker, limited, beside],
    }
}

#[tokio::test]
async fn a_label_that_none_offers_asks_for_a_size_and_the_rest_selects() {
    let (ecs, ssm) = (ecs(&[], "runner"), published(&sized()));
    let deps = deps(&ecs, &ssm);
    let run_label = "fargate=99/cpu=4/ram=16/disk=100/spot";
    let size = |cpu, memory, disk| {
        Some(SizeOverride {
            cpu: Some(cpu),
            memory: Some(memory),
            disk,
            container_memory: None,
        })
    };
    let disk = SizeOverride {
        disk: Some(50),
        ..SizeOverride::default()
    };
    let limited = SizeOverride {
        container_memory: Some(15_872),
        ..size(4_096, 16_384, None).unwrap()
    };
    let cases: &[(&[&str], &str, Option<SizeOverride>, &str)] = &[
        (&["self-hosted", "linux", "x64"], "f-large", None, ""),
        (
            &["database", "cpu-1", "ram-3"],
            "f-beside",
            size(1_024, 3_072, None),
            "",
        ),
        (
            &["self-hosted", "linux", "CPU-4"],
            "f-large",
            size(4_096, 8_192, None),
            "",
        ),
        (
            &["self-hosted", run_label],
            "f-large",
            size(4_096, 16_384, Some(100)),
            "FARGATE_SPOT FARGATE",
        ),
        (
            &[run_label],
            "f-large",
            size(4_096, 16_384, Some(100)),
            "FARGATE_SPOT FARGATE",
        ),
        (
            &["x64", "disk-50", "on-demand"],
            "f-large",
            Some(disk),
            "FARGATE",
        ),
        // Its own size needs no override.
        (&["x64", "cpu-2", "ram-4", "disk-20"], "f-large", None, ""),
        (&["x64", "fargate=99"], "f-large", None, ""),
        (
            &["self-hosted", "fargate=99/x64/fixed"],
            "f-fixed",
            None,
            "",
        ),
        // One of them offers this as a label.
        (&["x64", "cpu-8"], "f-fixed", None, ""),
        (&["docker", "cpu-2"], "f-docker", None, "machines"),
        // The container's own limit grows with the task.
        (
            &["arm64", "cpu-4", "ram-16"],
            "f-limited",
            Some(limited),
            "",
        ),
    ];
    for (labels, family, size, capacity) in cases {
        let found = handle(&deps, order(labels), NOW).await.unwrap();
        assert_eq!(found.definition.family, *family, "{labels:?}");
        assert_eq!(found.size, *size, "{labels:?}");
        assert_eq!(found.definition.capacity.join(" "), *capacity, "{labels:?}");
        if let Some(cpu) = size.and_then(|size| size.cpu) {
            assert_eq!(found.definition.cpu, Some(cpu), "{labels:?}");
        }
    }
    assert_eq!((ssm.num_calls(), ecs.calls()), (1, (0, 0)));
}

#[tokio::test]
async fn a_size_that_a_runner_cannot_have_is_refused_with_one_that_it_can() {
    let (ecs, ssm) = (ecs(&[], "runner"), published(&sized()));
    let deps = deps(&ecs, &ssm);
    let long = format!("cpu-{}", "1".repeat(196));
    let cases: &[(&[&str], &str, &[&str])] = &[
        (
            &["x64", "cpu-3"],
            "SizeRefused",
            &["cpu-3", "nearest is cpu-4"],
        ),
        (&["x64", "cpu-0"], "SizeRefused", &["nearest is cpu-0.25"]),
        (
            &["x64", "ram-1", "cpu-16"],
            "SizeRefused",
            &["f-large", "cpu-16 ram-32"],
        ),
        (&["x64", "disk-10"], "SizeRefused", &["nearest is disk-20"]),
        (&["x64", "cpu-4", "cpu-16"], "SizeRefused", &["contradict"]),
        (
            &["x64", "fargate=/cpu=4"],
            "SizeRefused",
            &["github.run_id"],
        ),
        (&["x64", "fargate=98/cpu=4"], "SizeRefused", &["99"]),
        (
            &["x64", "cpu-32"],
            "SizeRefused",
            &["f-large", "GH:max-cpu", "cpu-16 ram-32"],
        ),
        (
            &["fixed", "cpu-4"],
            "SizeRefused",
            &["f-fixed", "cpu-2 ram-4"],
        ),
        (
            &["docker", "cpu-4"],
            "SizeRefused",
            &["f-docker", "machines", "Fargate"],
        ),
        (
            &["docker", "spot"],
            "SizeRefused",
            &["f-docker", "purchase option"],
        ),
        (
            &["docker", "cpu-3"],
            "SizeRefused",
            &["f-docker", "machines", "Fargate"],
        ),
        (
            &["fixed", "cpu-3"],
            "SizeRefused",
            &[
                "f-fixed",
                "nearest is cpu-4",
                "but cpu-2 (tags `GH:max-cpu`",
            ],
        ),
        (
            &["fargate=99/fixed/ram=8gb"],
            "SizeRefused",
            &["f-fixed", "nearest is ram-8", "but ram-4 (tags"],
        ),
        (
            &["database", "cpu-1", "ram-2"],
            "SizeRefused",
            &[
                "f-beside",
                "containers reserve",
                "valid size is cpu-1 ram-3",
            ],
        ),
        (
            &["database", "cpu-0.5"],
            "SizeRefused",
            &[
                "f-beside",
                "cpu-0.5 ram-4 is less",
                "valid size is cpu-1 ram-4",
            ],
        ),
        (
            &["gpu", "cpu-3"],
            "SizeRefused",
            &["`cpu-3` is no size of Fargate"],
        ),
        (&["gpu", "cpu-4"], "Unmatched", &["f-docker lacks [gpu]"]),
        (
            &["fargate=99/gpu/x64"],
            "Unmatched",
            &["labels [gpu x64]", "f-docker lacks [gpu]"],
        ),
        (&["x64", &long], "SizeRefused", &["nearest is cpu-32", "…"]),
        (&["x64", &long[..4]], "Unmatched", &["cpu-"]),
    ];
    for (labels, error, parts) in cases {
        let refused = handle(&deps, order(labels), NOW).await.unwrap_err();
        let told = Diagnostic::from(refused);
        assert_eq!(
            told.error_type, *error,
            "{labels:?}: {}",
            told.error_message
        );
        for part in *parts {
            assert!(
                told.error_message.contains(part),
                "{labels:?}: {}",
                told.error_message
            );
        }
    }
    // The catalogue is fresh, so none of them reads ECS again.
    assert_eq!((ssm.num_calls(), ecs.calls()), (1, (0, 0)));
}
