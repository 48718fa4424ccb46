//! One family's offer, and all of them.

use aws_sdk_ecs::types::{NetworkMode, Tag, TaskDefinition};
use protocol::{Definition, LabelSet, Matched};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The tag by which a task definition offers itself: labels, separated by spaces.
pub const LABELS_TAG: &str = "GH:labels";

/// The tag by which a task definition names its capacity providers, separated by spaces, in order of
/// preference. Without it the deployment's own apply.
pub const CAPACITY_TAG: &str = "GH:capacity";

/// The tag by which a task definition tells which version of GitHub's runner its image holds: the
/// version, or the name of an SSM parameter with it, where the image is rebuilt on its own.
pub const RUNNER_VERSION_TAG: &str = "GH:runner-version";

/// Everything a deployment offered at one time. In JSON its fields are `publishedAt` and `families`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// When ECS was asked.
    #[serde(rename = "publishedAt", with = "time::serde::rfc3339")]
    pub read_at: OffsetDateTime,
    /// What it answered, in the order of the families' names.
    #[serde(rename = "families")]
    pub offers: Vec<Offer>,
}

/// The newest active revision of a family, as far as choosing among families needs it. In JSON its
/// fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// What is known of it.
    #[serde(flatten)]
    pub definition: Definition,
    /// The labels it offers.
    pub labels: LabelSet,
    /// The names of its containers.
    #[serde(default)]
    pub containers: Vec<String>,
    /// What its tag tells of the runner's version; not published, because `match` needs none.
    #[serde(skip)]
    pub runner_version: Option<String>,
}

impl Offer {
    /// Reads a family's offer from its task definition; none where the labels tag is missing or
    /// empty, because the definition serves something else then.
    pub(crate) fn of(family: &str, definition: &TaskDefinition, tags: &[Tag]) -> Option<Self> {
        let tag = |key: &str| {
            tags.iter()
                .find(|tag| tag.key() == Some(key))
                .and_then(Tag::value)
                .unwrap_or_default()
        };
        let labels = LabelSet::parse(tag(LABELS_TAG));
        if labels.is_empty() {
            return None;
        }
        Some(Self {
            definition: Definition {
                family: family.to_owned(),
                capacity: tag(CAPACITY_TAG)
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                cpu: definition.cpu().and_then(|cpu| cpu.parse().ok()),
                memory: definition.memory().and_then(|memory| memory.parse().ok()),
                architecture: definition
                    .runtime_platform()
                    .and_then(|platform| platform.cpu_architecture())
                    .map(|architecture| architecture.as_str().to_owned()),
                // ECS's own default, for Linux: a definition for Fargate always says `awsvpc`.
                network_mode: Some(
                    definition
                        .network_mode()
                        .map_or("bridge", NetworkMode::as_str)
                        .to_owned(),
                ),
            },
            labels,
            containers: definition
                .container_definitions()
                .iter()
                .filter_map(|container| container.name().map(str::to_owned))
                .collect(),
            runner_version: Some(tag(RUNNER_VERSION_TAG).trim().to_owned())
                .filter(|version| !version.is_empty()),
        })
    }

    /// What the state machine goes on with.
    pub fn matched(&self) -> Matched {
        Matched {
            definition: self.definition.clone(),
            offered: self.labels.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{ContainerDefinition, CpuArchitecture, RuntimePlatform};

    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag::builder().key(key).value(value).build()
    }

    #[test]
    fn an_offer_is_what_tags_and_definition_say() {
        let definition = TaskDefinition::builder()
            .cpu("1024")
            .memory("2048")
            .network_mode(NetworkMode::Awsvpc)
            .runtime_platform(
                RuntimePlatform::builder()
                    .cpu_architecture(CpuArchitecture::Arm64)
                    .build(),
            )
            .container_definitions(ContainerDefinition::builder().name("runner").build())
            .build();
        let tags = [
            tag("GH:capacity", "FARGATE_SPOT FARGATE"),
            tag("GH:labels", "Self-Hosted linux ARM64"),
            tag("GH:runner-version", "2.338.0"),
        ];
        assert_eq!(
            Offer::of("fargate-runners-arm", &definition, &tags),
            Some(Offer {
                definition: Definition {
                    family: "fargate-runners-arm".to_owned(),
                    capacity: vec!["FARGATE_SPOT".to_owned(), "FARGATE".to_owned()],
                    cpu: Some(1024),
                    memory: Some(2048),
                    architecture: Some("ARM64".to_owned()),
                    network_mode: Some("awsvpc".to_owned()),
                },
                labels: LabelSet::parse("arm64 linux self-hosted"),
                containers: vec!["runner".to_owned()],
                runner_version: Some("2.338.0".to_owned()),
            })
        );
    }

    #[test]
    fn what_a_definition_does_not_say_stays_open() {
        let definition = TaskDefinition::builder().build();
        let offer = Offer::of("f", &definition, &[tag("GH:labels", "linux")]).unwrap();
        let open = Definition {
            family: "f".to_owned(),
            // What ECS takes such a definition for.
            network_mode: Some("bridge".to_owned()),
            ..Definition::default()
        };
        assert_eq!(offer.definition, open);
        assert!(offer.containers.is_empty());
    }

    #[test]
    fn a_definition_without_labels_offers_nothing() {
        let definition = TaskDefinition::builder().build();
        for tags in [
            vec![],
            vec![tag("GH:labels", "  ")],
            vec![tag("gh:labels", "linux")],
        ] {
            assert_eq!(Offer::of("f", &definition, &tags), None, "{tags:?}");
        }
    }
}
