//! One family's offer, and all of them.

use aws_sdk_ecs::types::{ContainerDefinition, NetworkMode, Tag, TaskDefinition};
use protocol::{CONTAINER, Definition, LabelSet, Repository, Warm};
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

/// The tags by which a task definition says how large a job may make its task: vCPU, GiB of memory and
/// GiB of disk, as numbers. Without one, it is as large as the definition says.
pub const MAX_CPU_TAG: &str = "GH:max-cpu";
pub const MAX_MEMORY_TAG: &str = "GH:max-memory";
pub const MAX_DISK_TAG: &str = "GH:max-disk";

/// The tag by which a task definition allows a shell in its tasks (ECS Exec), with the value `true`. RunTask
/// decides it, so a task definition can only say so.
pub const SHELL_TAG: &str = "GH:shell";

/// The tag by which a task definition has jobs run again that Spot or the platform took away: `true`.
pub const RERUN_TAG: &str = "GH:rerun-after-interruption";

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
    /// How large a job may make its task.
    #[serde(default, skip_serializing_if = "Limits::are_none")]
    pub limits: Limits,
    /// Its own disk in GiB, if it is more than every task on Fargate has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    /// Memory in MiB of its other containers, if the runner's own container has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<u32>,
    /// What its containers reserve of a task; ECS starts no smaller one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// What the containers of a definition reserve together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// CPU units.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory: u32,
}

/// How large a job may make its task; what is not set is as large as the definition says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// CPU units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
}

impl Limits {
    fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the tags. An unreadable one allows nothing more.
    fn of<'a>(family: &str, named: impl Fn(&'a str) -> Option<String>) -> Self {
        // More than Fargate has would be in another unit, such as MiB, and allow all.
        let limit = |tag: &'a str, scale: f64, most: f64| {
            let text = named(tag)?;
            let number = text.parse::<f64>().ok();
            let number = number.filter(|number| (0.0..=most).contains(number));
            let whole = number.map(|number| number * scale);
            if whole.is_none() {
                tracing::warn!(
                    family,
                    tag,
                    text,
                    most,
                    "ignoring a tag: it is no number up to the most that Fargate has"
                );
            }
            // In range, as just looked.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            whole.map(|whole| whole as u32)
        };
        Self {
            cpu: limit(MAX_CPU_TAG, 1_024.0, 32.0),
            memory: limit(MAX_MEMORY_TAG, 1_024.0, 244.0),
            disk: limit(MAX_DISK_TAG, 1.0, 200.0),
        }
    }
}

/// Memory in MiB of the other containers, if the runner's has a limit of its own, which would not grow
/// with the task.
fn beside(definition: &TaskDefinition) -> Option<u32> {
    let containers = definition.container_definitions();
    let (own, others): (Vec<_>, Vec<_>) = containers
        .iter()
        .partition(|container| container.name() == Some(CONTAINER));
    own.first()?.memory()?;
    let taken = others.iter().map(|container| {
        let memory = container.memory().or(container.memory_reservation());
        memory
            .and_then(|memory| u32::try_from(memory).ok())
            .unwrap_or_default()
    });
    Some(taken.sum())
}

/// What the containers reserve, if they say so. The runner's own limit of memory does not count: it is set
/// with the task's size.
fn needs(definition: &TaskDefinition) -> Option<Needs> {
    let containers = definition.container_definitions().iter();
    let sum = |of: &dyn Fn(&ContainerDefinition) -> Option<i32>| {
        let each = containers.clone().filter_map(of);
        each.filter_map(|one| u32::try_from(one).ok()).sum()
    };
    let needs = Needs {
        cpu: sum(&|container| Some(container.cpu())),
        memory: sum(&|container| {
            let limit = container
                .memory()
                .filter(|_| container.name() != Some(CONTAINER));
            limit.or(container.memory_reservation())
        }),
    };
    (needs != Needs::default()).then_some(needs)
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
                shell: tag(SHELL_TAG).trim() == "true",
                rerun_after_interruption: tag(RERUN_TAG).trim() == "true",
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
            limits: Limits::of(family, named),
            disk: definition
                .ephemeral_storage()
                .and_then(|disk| u32::try_from(disk.size_in_gib()).ok()),
            beside: beside(definition),
            needs: needs(definition),
        })
    }

    /// Whether it is for a repository. One that it is not for never learns that it exists.
    pub fn is_for(&self, repository: &Repository) -> bool {
        self.repositories
            .as_ref()
            .is_none_or(|repositories| repositories.includes(repository))
    }

    /// Whether its tasks run on Fargate. They do unless it names capacity of its own, or has no network
    /// interface of its own, which every task on Fargate has.
    pub fn is_on_fargate(&self) -> bool {
        let definition = &self.definition;
        let mode = definition.network_mode.as_deref();
        mode.is_none_or(|mode| mode == "awsvpc")
            && definition
                .capacity
                .iter()
                .all(|provider| provider.starts_with("FARGATE"))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{CpuArchitecture, EphemeralStorage, RuntimePlatform};

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
            .ephemeral_storage(EphemeralStorage::builder().size_in_gib(50).build())
            .build();
        let tags = [
            tag("GH:capacity", "FARGATE_SPOT FARGATE"),
            tag("GH:labels", "Self-Hosted linux ARM64"),
            tag("GH:repositories", "octo/hello octo-labs/"),
            tag("GH:runner-group", "Deployers"),
            tag("fargate-runners:prefix", "fargate-runners"),
            tag("GH:runner-version", "2.338.0"),
            tag("GH:max-cpu", "0.5"),
            tag("GH:max-memory", " 64 "),
            tag("GH:max-disk", "much"),
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
                    shell: false,
                    rerun_after_interruption: false,
                },
                deployment: Some("fargate-runners".to_owned()),
                repositories: Some(Audience::parse("octo/hello octo-labs/")),
                labels: LabelSet::parse("arm64 linux self-hosted"),
                containers: vec!["runner".to_owned()],
                runner_version: Some("2.338.0".to_owned()),
                limits: Limits {
                    cpu: Some(512),
                    memory: Some(65_536),
                    disk: None,
                },
                disk: Some(50),
                beside: None,
                needs: None,
            })
        );
    }

    #[test]
    fn a_limit_in_another_unit_allows_nothing_more() {
        let definition = TaskDefinition::builder().build();
        let limits = |value: &str| {
            let tags = [MAX_CPU_TAG, MAX_MEMORY_TAG, MAX_DISK_TAG].map(|key| tag(key, value));
            let labels = [tag("GH:labels", "linux")];
            Offer::of("f", &definition, &[&tags[..], &labels[..]].concat())
                .unwrap()
                .limits
        };
        for value in ["4096", "65536", "-1", "nan", "inf", "4 GB", "32vCPU", ""] {
            assert_eq!(limits(value), Limits::default(), "{value:?}");
        }
        let (cpu, memory, disk) = (Some(32_768), Some(32_768), Some(32));
        assert_eq!(limits("32"), Limits { cpu, memory, disk });
    }

    #[test]
    fn what_containers_reserve_is_the_least_of_a_task() {
        let container = |name: &str| ContainerDefinition::builder().name(name);
        let needs = |containers: Vec<ContainerDefinition>| {
            let definition = TaskDefinition::builder()
                .set_container_definitions(Some(containers))
                .build();
            let offer = Offer::of("f", &definition, &[tag("GH:labels", "linux")]);
            offer.unwrap().needs.map(|needs| (needs.cpu, needs.memory))
        };
        let runner = container("runner");
        assert_eq!(needs(vec![runner.clone().build()]), None);
        // Its limit is set anew with the size.
        assert_eq!(needs(vec![runner.clone().memory(4_096).build()]), None);
        let database = container("database").cpu(512).memory(2_048).build();
        let proxy = container("proxy").memory_reservation(128).build();
        let own = runner.cpu(256).memory_reservation(1_024).build();
        assert_eq!(needs(vec![own, database, proxy]), Some((768, 3_200)));
    }

    #[test]
    fn a_limit_of_the_runners_container_shows_what_the_others_need() {
        let container = |name: &str| ContainerDefinition::builder().name(name);
        let beside = |containers: Vec<ContainerDefinition>| {
            let definition = TaskDefinition::builder()
                .set_container_definitions(Some(containers))
                .build();
            Offer::of("f", &definition, &[tag("GH:labels", "linux")])
                .unwrap()
                .beside
        };
        let proxy = container("proxy").memory(256).build();
        let cache = container("cache").memory_reservation(128).build();
        let limited = container("runner").memory(3_000).build();
        assert_eq!(beside(vec![limited.clone()]), Some(0));
        assert_eq!(beside(vec![proxy.clone(), cache, limited]), Some(384));
        assert_eq!(beside(vec![container("runner").build(), proxy]), None);
    }

    #[test]
    fn only_what_is_on_fargate_can_have_another_size() {
        let offer = |mode, capacity: &str| {
            let definition = TaskDefinition::builder().network_mode(mode).build();
            let tags = [tag("GH:labels", "linux"), tag("GH:capacity", capacity)];
            Offer::of("f", &definition, &tags).unwrap().is_on_fargate()
        };
        assert!(offer(NetworkMode::Awsvpc, ""));
        assert!(offer(NetworkMode::Awsvpc, "FARGATE_SPOT FARGATE"));
        // Managed instances, and instances of one's own.
        assert!(!offer(NetworkMode::Awsvpc, "machines"));
        assert!(!offer(NetworkMode::Bridge, "instances"));
        assert!(!offer(NetworkMode::Bridge, ""));
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
    fn a_shell_is_allowed_by_the_word_true_alone() {
        let definition = TaskDefinition::builder().build();
        for (value, allowed) in [
            ("true", true),
            (" true ", true),
            ("", false),
            ("yes", false),
        ] {
            let tags = [tag("GH:labels", "linux"), tag("GH:shell", value)];
            let offer = Offer::of("f", &definition, &tags).unwrap();
            assert_eq!(offer.definition.shell, allowed, "{value:?}");
        }
    }

    #[test]
    fn a_second_chance_is_given_by_the_word_true_alone() {
        let definition = TaskDefinition::builder().build();
        for (value, given) in [("true", true), ("", false), ("yes", false)] {
            let tags = [
                tag("GH:labels", "linux"),
                tag("GH:rerun-after-interruption", value),
            ];
            let offer = Offer::of("f", &definition, &tags).unwrap();
            assert_eq!(
                offer.definition.rerun_after_interruption, given,
                "{value:?}"
            );
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
