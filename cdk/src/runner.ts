import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as logs from "aws-cdk-lib/aws-logs";
import { Duration, Stack, Tags } from "aws-cdk-lib";
import { Construct } from "constructs";
import { Capacity, CAPACITY_TAG } from "./capacity";
import { invalidProp } from "./invalid-prop";
import { LABELS_TAG, labelsTag } from "./labels";
import { Names } from "./names";

/** The container that the agent runs in; `launch` addresses its overrides to this name. */
export const RUNNER_CONTAINER = "runner";

/** The processor a runner's jobs see. */
export type RunnerArchitecture = "x64" | "arm64";

/** What a runner takes from the deployment it belongs to. */
export interface RunnerHost {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** Path of the roles that tasks run under. */
  readonly taskRolePath: string;
  /** What the agent in the container may call. */
  agentPermissions(): iam.PolicyStatement[];
  /** A log group with the deployment's retention. */
  newLogGroup(scope: Construct, id: string, name: string): logs.LogGroup;
  /** Notes that a runner exists, so that overlapping labels are seen. */
  register(runner: OfferedRunner): void;
  /** Lets the state machine pass a role that isn't under {@link taskRolePath}. */
  allowPassing(role: iam.IRole): void;
}

/** A task definition as `match` will see it. */
export interface OfferedRunner {
  /** The construct, for warnings. */
  readonly construct: Construct;
  /** Family of the task definition. */
  readonly family: string;
  /** Labels that it offers. */
  readonly labels: readonly string[];
}

/** What runners of every kind can be told. */
export interface RunnerProps {
  /** The deployment that the runner belongs to. */
  readonly runners: RunnerHost;
  /**
   * What follows the prefix in the task definition's family; unique in a deployment.
   * @default "ubuntu-x64" or "ubuntu-arm64"
   */
  readonly name?: string;
  /**
   * The labels that jobs can ask for. The most specific offer wins: the one with the fewest
   * labels that the job did not ask for.
   * @default - self-hosted, linux, ubuntu, and x64 or arm64
   */
  readonly labels?: readonly string[];
  /**
   * The processor.
   * @default "x64"
   */
  readonly architecture?: RunnerArchitecture;
  /**
   * The image; its entrypoint must be our agent.
   * @default - built from images/ubuntu when the stack is deployed, which needs Docker
   */
  readonly image?: ecs.ContainerImage;
  /**
   * Which capacity providers run the task.
   * @default - the deployment's default
   */
  readonly capacity?: Capacity;
  /**
   * The role that jobs run under; the agent's permissions are added to it.
   * @default - a role that can do nothing else
   */
  readonly taskRole?: iam.IRole;
  /**
   * Environment variables of the container, for example a proxy. Every job can read them: never
   * a secret.
   * @default - none
   */
  readonly environment?: Record<string, string>;
  /**
   * More containers beside the runner's, by name: a database, a proxy. They stop with the runner.
   * @default - none
   */
  readonly extraContainers?: Record<string, ecs.ContainerDefinitionOptions>;
}

/** What all kinds of runners have in common, once the defaults are filled in. */
export interface ResolvedRunner {
  /** Family of the task definition. */
  readonly family: string;
  /** Value of the tag with the labels. */
  readonly labelsTag: string;
  /** The labels. */
  readonly labels: readonly string[];
  /** The processor. */
  readonly architecture: RunnerArchitecture;
}

/** Fills in the defaults and checks what can be checked without knowing the kind. */
export function resolveRunner(props: RunnerProps): ResolvedRunner {
  const architecture = props.architecture ?? "x64";
  const name = props.name ?? `ubuntu-${architecture}`;
  if (!/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) {
    throw invalidProp("name", name, "1 to 40 characters of a-z, 0-9 and '-', no '-' at either end");
  }
  const labels = props.labels ?? ["self-hosted", "linux", architecture, "ubuntu"];
  return {
    family: `${props.runners.names.familyPrefix}${name}`,
    labelsTag: labelsTag("labels", labels),
    labels,
    architecture,
  };
}

/** The ECS name of the processor. */
export function cpuArchitecture(architecture: RunnerArchitecture): ecs.CpuArchitecture {
  return architecture === "arm64" ? ecs.CpuArchitecture.ARM64 : ecs.CpuArchitecture.X86_64;
}

/** Makes a task definition visible to `match`. */
export function offer(
  taskDefinition: ecs.TaskDefinition,
  props: RunnerProps,
  resolved: ResolvedRunner,
): void {
  const only = { includeResourceTypes: ["AWS::ECS::TaskDefinition"] };
  Tags.of(taskDefinition).add(LABELS_TAG, resolved.labelsTag, only);
  if (props.capacity !== undefined) {
    Tags.of(taskDefinition).add(CAPACITY_TAG, props.capacity.toString(), only);
  }
  props.runners.register({
    construct: taskDefinition,
    family: resolved.family,
    labels: resolved.labels,
  });
}

/** Adds the runner's container and those beside it. */
export function addContainers(
  taskDefinition: ecs.TaskDefinition,
  props: RunnerProps,
  options: {
    image: ecs.ContainerImage;
    logGroup: logs.ILogGroup;
    container?: Partial<ecs.ContainerDefinitionOptions>;
  },
): ecs.ContainerDefinition {
  const runner = taskDefinition.addContainer(RUNNER_CONTAINER, {
    ...options.container,
    image: options.image,
    essential: true,
    environment: props.environment,
    // The longest that Fargate allows; Spot gives a task the same two minutes.
    stopTimeout: Duration.seconds(120),
    logging: awsLogs(options.logGroup, RUNNER_CONTAINER),
  });
  for (const [name, container] of Object.entries(props.extraContainers ?? {})) {
    if (name === RUNNER_CONTAINER) {
      throw invalidProp("extraContainers", name, `any name but '${RUNNER_CONTAINER}'`);
    }
    taskDefinition.addContainer(name, {
      // A helper that ends must not end the job; the task ends with the runner.
      essential: false,
      logging: awsLogs(options.logGroup, name),
      ...container,
    });
  }
  return runner;
}

/** Region of a construct, which EC2-backed tasks, unlike Fargate's, aren't told by ECS. */
export function regionOf(construct: Construct): string {
  return Stack.of(construct).region;
}

function awsLogs(logGroup: logs.ILogGroup, streamPrefix: string): ecs.LogDriver {
  return ecs.LogDriver.awsLogs({
    logGroup,
    streamPrefix,
    // A log that can't be delivered must not stop the job.
    mode: ecs.AwsLogDriverMode.NON_BLOCKING,
  });
}
