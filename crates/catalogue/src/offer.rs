//! One family's offer, and all of them.

use aws_sdk_ecs::types::{NetworkMode, Tag, TaskDefinition};
use protocol::{Definition, LabelSet, Matched, Repository, Warm};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Audience;

/// The tag that says which deployment a task definition belongs to: the deployment's prefix, which no
/// other has in the same account and region. The stack sets it; who else may set it decides whose
/// containers run jobs.
pub const PREFIX_TAG: &str = "fargate-runners:prefix";

/// The tag by which a task definition offers itself: labels, separated by spaces.
pub const LABELS_TAG: &str = "GH:labels";

/// The tag by which a task definition names its capacity providers, separated by spaces, in order of
/// preference. Without it the deployment's own apply.
pub const CAPACITY_TAG: &str = "GH:capacity";

/// The tag by which a task definition names the repositories that it is for. Without it, it is for all.
pub const REPOSITORIES_TAG: &str = "GH:repositories";

/// The tag by which a task definition names the runner group that its runners are registered in, at an
/// organization. Without it the deployment's own applies.
pub const RUNNER_GROUP_TAG: &str = "GH:runner-group";

/// The tag by which a task definition tells which version of GitHub's runner its image holds: the
/// version, or the name of an SSM parameter with it, where the image is rebuilt on its own.
pub const RUNNER_VERSION_TAG: &str = "GH:runner-version";

/// The tag by which a task definition tells of its pool of warm tasks ([`protocol::Warm`] has its form).
/// Without it there is none.
pub const WARM_TAG: &str = "GH:warm";

/// Everything that was offered under a family prefix at one time. In JSON its fields are `publishedAt` and `families`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// When ECS was asked.
    #[serde(rename = "publishedAt", with = "time::serde::rfc3339")]
    pub read_at: OffsetDateTime,
    /// What it answered, in the order of the families' names.
    #[serde(rename = "families")]
    pub offers: Vec<Offer>,
    /// The number of the refresh that it comes from; zero where ECS was asked about all families.
    #[serde(default)]
    pub turn: u32,
}

/// The newest active revision of a family, as far as choosing among families needs it. In JSON its
/// fields are in camel case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// What is known of it.
    #[serde(flatten)]
    pub definition: Definition,
    /// The prefix of the deployment that it is tagged as belonging to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The repositories that it is for; all where there is no tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Audience>,
    /// The labels it offers.
    pub labels: LabelSet,
    /// The names of its containers.
    #[serde(default)]
    pub containers: Vec<String>,
    /// What its tag tells of the runner's version. Published for the next sweep, which may keep the offer;
    /// `match` needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_version: Option<String>,
}

impl Offer {
    /// Reads a family's offer from its task definition; none where the labels tag is missing or
    /// empty, because the definition serves something else then.
    pub(crate) fn of(family: &str, definition: &TaskDefinition, tags: &[Tag]) -> Option<Self> {
        let tagged = |key: &str| {
            let found = tags.iter().find(|tag| tag.key() == Some(key));
            found.map(|tag| tag.value().unwrap_or_default())
        };
        let tag = |key| tagged(key).unwrap_or_default();
        let named = |key| Some(tag(key).trim().to_owned()).filter(|text| !text.is_empty());
        let labels = LabelSet::parse(tag(LABELS_TAG));
        if labels.is_empty() {
            return None;
        }
        let warm = named(WARM_TAG).and_then(|value| match value.parse::<Warm>() {
            Ok(warm) => Some(warm),
            // Its jobs are served without a pool.
            Err(error) => {
                tracing::warn!(family, tag = WARM_TAG, %error, "ignoring a tag");
                None
            }
        });
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
                runner_group: named(RUNNER_GROUP_TAG),
                warm,
                // Only a warm task is of one revision; any other is of the newest.
                revision: warm.and_then(|_| u64::try_from(definition.revision()).ok()),
            },
            deployment: named(PREFIX_TAG),
            // A tag without a value is for nobody: it was meant to exclude.
            repositories: tagged(REPOSITORIES_TAG).map(Audience::parse),
            labels,
            containers: definition
                .container_definitions()
                .iter()
                .filter_map(|container| container.name().map(str::to_owned))
                .collect(),
            runner_version: named(RUNNER_VERSION_TAG),
        })
    }

    /// Whether it is for a repository. One that it is not for never learns that it exists.
    pub fn is_for(&self, repository: &Repository) -> bool {
        self.repositories
            .as_ref()
            .is_none_or(|repositories| repositories.includes(repository))
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
            tag("GH:repositories", "octo/hello octo-labs/"),
            tag("GH:runner-group", "Deployers"),
            tag("fargate-runners:prefix", "fargate-runners"),
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
                    runner_group: Some("Deployers".to_owned()),
                    warm: None,
                    revision: None,
                },
                deployment: Some("fargate-runners".to_owned()),
                repositories: Some(Audience::parse("octo/hello octo-labs/")),
                labels: LabelSet::parse("arm64 linux self-hosted"),
                containers: vec!["runner".to_owned()],
                runner_version: Some("2.338.0".to_owned()),
            })
        );
    }

    #[test]
    fn a_tag_tells_of_the_pool_and_only_then_the_revision_counts() {
        let definition = TaskDefinition::builder().revision(7).build();
        let offer = |value: Option<&str>| {
            let mut tags = vec![tag("GH:labels", "linux")];
            tags.extend(value.map(|value| tag("GH:warm", value)));
            Offer::of("f", &definition, &tags).unwrap().definition
        };
        let warm = Warm {
            slots: 2,
            spot: true,
            max_per_repository: Some(1),
        };
        let pooled = offer(Some("2 spot max=1"));
        assert_eq!((pooled.warm, pooled.revision), (Some(warm), Some(7)));
        for value in [None, Some(""), Some("two")] {
            let plain = offer(value);
            assert_eq!((plain.warm, plain.revision), (None, None), "{value:?}");
        }
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
        assert_eq!(offer.deployment, None);
        assert!(offer.is_for(&"octo/hello".parse().unwrap()));
    }

    #[test]
    fn a_tag_that_names_no_repository_is_for_none() {
        let definition = TaskDefinition::builder().build();
        for value in ["", " ", "octo", "hello/world/x"] {
            let tags = [tag("GH:labels", "linux"), tag("GH:repositories", value)];
            let offer = Offer::of("f", &definition, &tags).unwrap();
            assert!(!offer.is_for(&"octo/hello".parse().unwrap()), "{value:?}");
        }
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
