//! The RunTask request. As JSON it has the API's fields in Pascal case, as Step Functions takes them
//! ([shape]).
//!
//! [shape]: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html

use protocol::{CONTAINER, Definition, SizeOverride};
use serde::Serialize;

use crate::settings::Placement;
use crate::tags::{Tag, group};

/// A RunTask request for one task. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskRequest {
    pub cluster: String,
    /// The family, not a revision: a deployment deactivates older revisions, and RunTask rejects
    /// those.
    pub task_definition: String,
    pub capacity_provider_strategy: Vec<Capacity>,
    pub overrides: Overrides,
    // No `StartedBy`: `runTask.sync` writes "AWS Step Functions" there (recorded on AWS,
    // 2024-02-23).
    pub group: String,
    #[serde(rename = "EnableECSManagedTags")]
    pub enable_ecs_managed_tags: bool,
    /// The deployment's tag comes from the task definition. No tag is both given and propagated: AWS
    /// does not document whether the request wins or the duplicate is rejected.
    pub propagate_tags: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Only for Fargate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// Only for a task with a network interface of its own: any other is rejected with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    /// Whether a shell may be opened in the task (ECS Exec). No execution that started before this field
    /// has it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enable_execute_command: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Capacity {
    pub capacity_provider: String,
    pub weight: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Overrides {
    pub container_overrides: Vec<ContainerOverride>,
    /// CPU units of the task, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Memory of the task in MiB, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EphemeralStorage {
    #[serde(rename = "SizeInGiB")]
    pub size_in_gib: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerOverride {
    pub name: &'static str,
    pub environment: Vec<Variable>,
    /// Limit of the container's memory in MiB, if the definition has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
}

/// An environment variable of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Variable {
    pub name: &'static str,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkConfiguration {
    pub awsvpc_configuration: AwsvpcConfiguration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AwsvpcConfiguration {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    /// `ENABLED` or `DISABLED`.
    pub assign_public_ip: &'static str,
}

/// How far an attempt has moved on from the preferred place, because the ones before found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Index into the capacity providers; the last one is repeated.
    pub capacity: u32,
    /// The first attempt gets all subnets, and ECS chooses. A later one gets a single other one.
    pub subnet: u32,
}

/// The provider that Fargate takes back.
const SPOT: &str = "FARGATE_SPOT";

/// The provider of a step; the last one is repeated.
fn nth<'a>(providers: &mut dyn Iterator<Item = &'a String>, step: Step) -> &'a str {
    let steps = usize::try_from(step.capacity).unwrap_or(usize::MAX);
    let chosen = providers.take(steps.saturating_add(1)).last();
    chosen.map_or("FARGATE", String::as_str)
}

impl Placement {
    /// The capacity providers of a definition's tasks, in order of preference; never empty.
    pub fn providers<'a>(&'a self, definition: &'a Definition) -> &'a [String] {
        if definition.capacity.is_empty() {
            &self.capacity
        } else {
            &definition.capacity
        }
    }

    /// The provider of an attempt: each attempt without capacity moves to the next one.
    pub fn provider<'a>(&'a self, definition: &'a Definition, step: Step) -> &'a str {
        nth(&mut self.providers(definition).iter(), step)
    }

    /// The same without Fargate Spot, for a job that Spot may have interrupted before.
    pub fn on_demand<'a>(&'a self, definition: &'a Definition, step: Step) -> &'a str {
        let providers = self.providers(definition).iter();
        nth(&mut providers.filter(|name| *name != SPOT), step)
    }

    /// Builds the request for a task of `definition` with one capacity provider. The task belongs to
    /// the deployment's group, and is told `environment`.
    pub fn request(
        &self,
        definition: &Definition,
        provider: &str,
        step: Step,
        environment: Vec<Variable>,
        tags: Vec<Tag>,
    ) -> TaskRequest {
        // No other provider's name may start like this.
        let fargate = provider.starts_with("FARGATE");
        let own_network = definition
            .network_mode
            .as_deref()
            .is_none_or(|mode| mode == "awsvpc");
        let network = || NetworkConfiguration {
            awsvpc_configuration: AwsvpcConfiguration {
                subnets: self.subnets_at(step),
                security_groups: self.security_groups.clone(),
                // Only Fargate assigns public addresses.
                assign_public_ip: if fargate && self.public_ip {
                    "ENABLED"
                } else {
                    "DISABLED"
                },
            },
        };
        TaskRequest {
            cluster: self.cluster.clone(),
            task_definition: definition.family.clone(),
            capacity_provider_strategy: vec![Capacity {
                capacity_provider: provider.to_owned(),
                weight: 1,
            }],
            overrides: Overrides {
                container_overrides: vec![ContainerOverride {
                    name: CONTAINER,
                    environment,
                    memory: None,
                }],
                cpu: None,
                memory: None,
                ephemeral_storage: None,
                task_role_arn: None,
            },
            group: group(&self.deployment),
            enable_ecs_managed_tags: true,
            propagate_tags: "TASK_DEFINITION",
            tags,
            platform_version: fargate.then(|| self.platform_version.clone()),
            network_configuration: own_network.then(network),
            enable_execute_command: definition.shell,
        }
    }

    fn subnets_at(&self, step: Step) -> Vec<String> {
        let all = &self.subnets;
        if step.subnet == 0 || all.is_empty() {
            return all.clone();
        }
        let index = usize::try_from(step.subnet).unwrap_or(0) % all.len();
        vec![all[index].clone()]
    }
}

impl TaskRequest {
    /// Overrides the task definition's size.
    pub fn resize(&mut self, size: SizeOverride) {
        let overrides = &mut self.overrides;
        overrides.cpu = size.cpu.map(|units| units.to_string());
        overrides.memory = size.memory.map(|mebibytes| mebibytes.to_string());
        overrides.ephemeral_storage = size
            .disk
            .map(|size_in_gib| EphemeralStorage { size_in_gib });
        for container in &mut overrides.container_overrides {
            container.memory = size.container_memory;
        }
    }
}
