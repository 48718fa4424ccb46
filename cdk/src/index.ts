// The deployment.
export { FargateRunners, type FargateRunnersProps } from "./fargate-runners";
export type { GitHubProps } from "./github-props";

// Runners.
export { Capacity, CAPACITY_TAG } from "./runners/capacity";
export { FargateRunner, type FargateRunnerProps } from "./runners/fargate-runner";
export { Ec2Capacity, type Ec2CapacityProps } from "./runners/ec2-capacity";
export {
  ManagedInstancesCapacity,
  type ManagedInstancesCapacityProps,
} from "./runners/managed-instances-capacity";
export type { Isolation } from "./runners/instances";
export { Ec2Runner, type Ec2RunnerProps } from "./runners/ec2-runner";
export type { RunnerArchitecture } from "./runners/runner-architecture";
export { Runner, RUNNER_CONTAINER, type RunnerProps } from "./runners/runner";
export { REPOSITORIES_TAG, RUNNER_GROUP_TAG } from "./runners/audience";
export { LABELS_TAG } from "./runners/labels";
export type { RepositoryRoles } from "./runners/repository-roles";
export { LIMIT_TAGS } from "./runners/fargate-size";
export { RUNNER_VERSION_TAG } from "./runners/runner-version";
export { RERUN_TAG } from "./runners/rerun";
export { SHELL_TAG } from "./runners/shell";

// Warm tasks.
export type { Day, WarmHours, WarmLinger, WarmProps } from "./warm/warm-props";
export { type Pool, WARM_TAG } from "./warm/pool";
export { WarmTasks } from "./warm/warm-tasks";

// Images.
export { imageFromUri } from "./images/image-from-uri";
export { type RebuildOptions, RebuiltImage, type RebuiltImageProps } from "./images/rebuilt-image";

// Networks.
export type { RunnerNetwork } from "./network/runner-network";
export type { NewVpcProps } from "./network/new-vpc";
export { PublicVpc } from "./network/public-vpc";
export { NatVpc, type NatVpcProps } from "./network/nat-vpc";
export { IsolatedVpc, type IsolatedVpcProps } from "./network/isolated-vpc";
export { ExistingVpc, type ExistingVpcProps } from "./network/existing-vpc";

// Caps.
export type { CapsProps } from "./caps/caps";

// Monitoring.
export { Monitoring, type MonitoringOptions } from "./monitoring/monitoring";
export { Alarms, type AlarmsOptions } from "./monitoring/alarms";
export { Dashboard } from "./monitoring/dashboard";
export {
  type MetricName,
  METRICS,
  Metrics,
  NAMESPACE,
  type SplitMetricName,
} from "./monitoring/metrics";

// What a deployment consists of, for those who build on it.
export { Handler } from "./handlers/handler";
export type {
  FunctionAlarm,
  HandlerContext,
  HandlerSpec,
  SecretName,
  WarmSpec,
} from "./handlers/handler-spec";
export {
  type DeployedHandlers,
  HANDLER_NAMES,
  type HandlerName,
  HANDLERS,
  type WarmHandlerName,
} from "./handlers/record";
export { SecretsKey, type SecretsKeyProps } from "./secrets-key";
export { DEPLOYMENT_TAG, Names, PREFIX_TAG } from "./names";
export type { Permission } from "./permission";
export { Roles } from "./roles";
export type { Offer, RunnerHost, WarmRunner } from "./runners/host";
