//! Reading the catalogue from ECS: which calls, how many, and what a failing one means.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::operation::describe_task_definition::{
    DescribeTaskDefinitionError, DescribeTaskDefinitionOutput,
};
use aws_sdk_ecs::operation::list_task_definition_families::ListTaskDefinitionFamiliesOutput;
use aws_sdk_ecs::types::error::ClientException;
use aws_sdk_ecs::types::{
    ContainerDefinition, Tag, TaskDefinition, TaskDefinitionFamilyStatus, TaskDefinitionField,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use protocol::{Fault, LabelSet};
use time::OffsetDateTime;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn families(names: &[&str]) -> ListTaskDefinitionFamiliesOutput {
    ListTaskDefinitionFamiliesOutput::builder()
        .set_families(Some(names.iter().map(|&name| name.to_owned()).collect()))
        .build()
}

fn described(labels: &str) -> DescribeTaskDefinitionOutput {
    DescribeTaskDefinitionOutput::builder()
        .task_definition(
            TaskDefinition::builder()
                .container_definitions(ContainerDefinition::builder().name("runner").build())
                .build(),
        )
        .tags(Tag::builder().key("GH:labels").value(labels).build())
        .build()
}

fn describes(family: &'static str, labels: &'static str) -> Rule {
    mock!(Client::describe_task_definition)
        .match_requests(move |request| {
            request.task_definition() == Some(family)
                && request.include() == [TaskDefinitionField::Tags]
        })
        .then_output(move || described(labels))
}

fn client(rules: &[&Rule]) -> Client {
    mock_client!(aws_sdk_ecs, RuleMode::MatchAny, rules)
}

#[tokio::test]
async fn pages_are_followed_and_families_sorted() {
    let first = mock!(Client::list_task_definition_families)
        .match_requests(|request| {
            request.next_token().is_none()
                && request.family_prefix() == Some("fr-")
                && request.status() == Some(&TaskDefinitionFamilyStatus::Active)
        })
        .then_output(|| {
            let mut page = families(&["fr-b"]);
            page.next_token = Some("more".to_owned());
            page
        });
    let second = mock!(Client::list_task_definition_families)
        .match_requests(|request| request.next_token() == Some("more"))
        .then_output(|| families(&["fr-a", "fr-other"]));
    let (a, b, other) = (
        describes("fr-a", "linux a"),
        describes("fr-b", "linux b"),
        describes("fr-other", ""),
    );
    let ecs = client(&[&first, &second, &a, &b, &other]);

    let catalogue = catalogue::read(&ecs, "fr-", NOW).await.unwrap();

    let names: Vec<_> = catalogue
        .offers
        .iter()
        .map(|o| o.definition.family.as_str())
        .collect();
    assert_eq!(names, ["fr-a", "fr-b"]);
    assert_eq!(catalogue.offers[0].labels, LabelSet::parse("a linux"));
    assert_eq!(catalogue.read_at, NOW);
    for rule in [&first, &second, &a, &b, &other] {
        assert_eq!(rule.num_calls(), 1);
    }
}

#[tokio::test]
async fn a_family_deregistered_meanwhile_costs_only_itself() {
    let list =
        mock!(Client::list_task_definition_families).then_output(|| families(&["fr-a", "fr-gone"]));
    let gone = mock!(Client::describe_task_definition)
        .match_requests(|request| request.task_definition() == Some("fr-gone"))
        .then_error(|| {
            DescribeTaskDefinitionError::ClientException(
                ClientException::builder()
                    .message("Unable to describe task definition.")
                    .build(),
            )
        });
    let ecs = client(&[&list, &gone, &describes("fr-a", "linux")]);

    let catalogue = catalogue::read(&ecs, "fr-", NOW).await.unwrap();

    assert_eq!(catalogue.offers.len(), 1);
}

/// An error as the JSON protocol writes it.
fn error_body(code: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"no"}}"#)
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_made_again() {
    let list = mock!(Client::list_task_definition_families)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .output(|| families(&["fr-a"]))
        .build();
    let describe = mock!(Client::describe_task_definition)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .times(2)
        .output(|| described("linux"))
        .build();
    let ecs = client(&[&list, &describe]);

    let catalogue = catalogue::read(&ecs, "fr-", NOW).await.unwrap();

    assert_eq!(catalogue.offers.len(), 1);
    assert_eq!((list.num_calls(), describe.num_calls()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn throttling_that_lasts_is_a_passing_fault_that_names_the_family() {
    let list = mock!(Client::list_task_definition_families).then_output(|| families(&["fr-a"]));
    let describe = mock!(Client::describe_task_definition)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .repeatedly()
        .build();
    let ecs = client(&[&list, &describe]);

    let error = catalogue::read(&ecs, "fr-", NOW).await.unwrap_err();

    assert_eq!(error.fault(), Fault::Throttled);
    assert!(
        error
            .to_string()
            .starts_with("ecs:DescribeTaskDefinition on fr-a failed: ThrottlingException"),
        "{error}"
    );
}

#[tokio::test]
async fn denied_is_a_lasting_fault() {
    let list = mock!(Client::list_task_definition_families)
        .sequence()
        .http_status(400, Some(error_body("AccessDeniedException")))
        .build();

    let error = catalogue::read(&client(&[&list]), "fr-", NOW)
        .await
        .unwrap_err();

    assert_eq!(error.fault(), Fault::AwsRefused);
}
