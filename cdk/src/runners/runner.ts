import { Duration, Tags } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { acknowledge } from "../acknowledge";
import { RebuildOptions, RebuiltImage } from "../images/rebuilt-image";
import { ubuntuImage, ubuntuRunnerVersion } from "../images/ubuntu-image";
import { invalidProp, oneOf } from "../invalid-prop";
import { DEPLOYMENT_TAG, PREFIX_TAG } from "../names";
import { REPOSITORIES_TAG, repositoriesTag, RUNNER_GROUP_TAG, runnerGroupTag } from "./audience";
import { Capacity, CAPACITY_TAG } from "./capacity";
import { RunnerHost } from "./host";
import { LABELS_TAG, labelsTag } from "./labels";
import { RunnerArchitecture } from "./runner-architecture";
import { checkRunnerName, defaultLabels, defaultRunnerName } from "./runner-name";
import { RunnerRoles } from "./runner-roles";
import { RUNNER_VERSION_TAG, runnerVersionTag } from "./runner-version";
import { allowShell, SHELL_TAG } from "./shell";

/** The container that the agent runs in; `launch` addresses its overrides to this name. */
export const RUNNER_CONTAINER = "runner";

/**
 * What the names of log streams begin with; ECS adds the container's and the task's:
 * `runner/runner/TASK`. `cleanup` names the stream in an execution's output.
 */
const LOG_STREAM_PREFIX = "runner";

/**
 * Of the capabilities that Docker grants a container, those that neither jobs nor `sudo apt-get` use.
 * The job's user has none of them itself; a program with the set-user-ID bit would get them. Fargate
 * lets a task drop any and add none but SYS_PTRACE:
 * https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_KernelCapabilities.html
 */
const DROPPED: readonly ecs.Capability[] = [
  ecs.Capability.MKNOD,
  ecs.Capability.NET_RAW,
  ecs.Capability.SETPCAP,
  ecs.Capability.SYS_CHROOT,
];

/** Props of every kind of runner. */
export interface RunnerProps {
  /** The deployment that the runner belongs to. */
  readonly runners: RunnerHost;
  /**
   * What follows the prefix in the task definition's family; unique in a deployment.
   * @default - "ubuntu-x64" or "ubuntu-arm64", on EC2 with "-docker" behind it
   */
  readonly name?: string;
  /**
   * The labels that jobs can ask for. The most specific offer wins: the one with the fewest
   * labels that the job did not ask for.
   * @default - self-hosted, linux, x64 or arm64, ubuntu, and on EC2 docker
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
   * Whether the image is built inside AWS, after each deployment and every week, see
   * RebuiltImage. Goes only without `image`.
   * @default false
   */
  readonly rebuild?: boolean | RebuildOptions;
  /**
   * The version of GitHub's runner in `image`, like `2.338.0`, or the name of an SSM parameter
   * below `/PREFIX/runner-versions/` that holds it; an alarm watches its age. Only with `image`.
   * @default - unknown: no alarm
   */
  readonly runnerVersion?: string;
  /**
   * CPU units; 1024 is one vCPU.
   * @default 2048
   */
  readonly cpu?: number;
  /**
   * Memory in MiB. Which values go with which `cpu` on Fargate is in Fargate's table.
   * @default 4096
   */
  readonly memoryMiB?: number;
  /**
   * The role that jobs run under; the agent's permissions are added to it.
   * @default - a role that can do nothing else
   */
  readonly taskRole?: iam.IRole;
  /**
   * Repositories whose jobs may use this runner, as `owner/name` or `owner/*`. For others it does not
   * exist, so `runs-on` can't choose its task role.
   * @default - all that the deployment serves
   */
  readonly repositories?: readonly string[];
  /**
   * Runner group that its runners join, at organization scope: GitHub assigns them no job of a
   * repository outside the group.
   * @default - the deployment's `github.runnerGroup`
   */
  readonly runnerGroup?: string;
  /**
   * How many of its runners may run at once; a job beyond waits in its execution. From 1 to 500.
   * @default - as many as there are jobs
   */
  readonly maxRunning?: number;
  /**
   * Linux capabilities that the container goes without. `ecs.Capability.ALL` suits an image without
   * `sudo`; `[]` keeps Docker's default ones.
   * @default - MKNOD, NET_RAW, SETPCAP and SYS_CHROOT: no device files, `ping` or `chroot`
   */
  readonly dropCapabilities?: readonly ecs.Capability[];
  /**
   * Whether the agent adds to each job's summary at GitHub how long it waited, what its task cost and
   * used at most, and a smaller size where one had room. Whoever sees the run sees it.
   * @default true
   */
  readonly jobSummary?: boolean;
  /**
   * Whether `fargate-runners shell JOB` may open a shell in a running job's container (ECS Exec). The
   * shell is root's, and the job can watch it: read SECURITY.md first.
   * @default false
   */
  readonly shell?: boolean;
  /**
   * Environment variables of the container, over those of the deployment's `proxy`. Every job can read
   * them: never a secret.
   * @default - none
   */
  readonly environment?: Record<string, string>;
  /**
   * More containers beside the runner's, by name: a database, a proxy. They end with the runner.
   * @default - none
   */
  readonly extraContainers?: Record<string, ecs.ContainerDefinitionOptions>;
}

/** What differs between the kinds of runners. */
export interface RunnerKind {
  /** What the default name ends with and the default labels hold besides. */
  readonly flavour?: string;
  /** Capacity providers of the task definition, where it doesn't use the deployment's. */
  readonly capacity?: Capacity;
  /** Makes the task definition. */
  readonly taskDefinition: (scope: Construct, props: TaskDefinitionBasics) => ecs.TaskDefinition;
  /** What the runner's container is told besides. */
  readonly container?: Partial<ecs.ContainerDefinitionOptions>;
}

/** What every kind of task definition is made from. */
export interface TaskDefinitionBasics {
  /** Family; the newest active revision serves. */
  readonly family: string;
  /** CPU units. */
  readonly cpu: number;
  /** Memory in MiB. */
  readonly memoryMiB: number;
  /** The processor. */
  readonly runtimePlatform: ecs.RuntimePlatform;
  /** ECS starts the task under this role. */
  readonly executionRole: iam.IRole;
  /** The agent and the job run under this role. */
  readonly taskRole: iam.IRole;
}

/** A task definition that `match` finds by its family's prefix and its tag. */
export abstract class Runner extends Construct implements iam.IGrantable {
  /** What jobs run under: grant it what jobs need. */
  readonly grantPrincipal: iam.IPrincipal;
  /** The task definition. */
  readonly taskDefinition: ecs.TaskDefinition;
  /** The container that the agent runs in. */
  readonly container: ecs.ContainerDefinition;

  /** The image of the agent's container. */
  protected readonly image: ecs.ContainerImage;
  /** Where containers log. */
  protected readonly logging: ecs.LogDriver;

  protected constructor(scope: Construct, id: string, props: RunnerProps, kind: RunnerKind) {
    super(scope, id);
    const { runners } = props;
    const architecture = oneOf("architecture", props.architecture ?? "x64", ["x64", "arm64"]);
    const flavour = kind.flavour === undefined ? [] : [kind.flavour];
    const name = props.name ?? defaultRunnerName(architecture, ...flavour);
    checkRunnerName("name", name);
    const family = `${runners.names.familyPrefix}${name}`;
    const labels = props.labels ?? defaultLabels(architecture, ...flavour);
    const { repositories, runnerGroup } = props;
    const tags: Record<string, string | undefined> = {
      [LABELS_TAG]: labelsTag("labels", labels),
      [REPOSITORIES_TAG]: repositories && repositoriesTag("repositories", repositories),
      [RUNNER_GROUP_TAG]: runnerGroup && runnerGroupTag("runnerGroup", runnerGroup),
      [CAPACITY_TAG]: kind.capacity?.toString(),
      [SHELL_TAG]: props.shell === true ? "true" : undefined,
    };

    this.logging = ecs.LogDriver.awsLogs({
      logGroup: runners.runnerLog,
      streamPrefix: LOG_STREAM_PREFIX,
      // A log that can't be delivered must not block the job.
      mode: ecs.AwsLogDriverMode.NON_BLOCKING,
    });
    const roles = new RunnerRoles(this, "Roles", runners, props.taskRole);
    this.grantPrincipal = roles.taskRole.grantPrincipal;
    if (props.shell === true) {
      allowShell(roles.taskRole, runners);
    }
    this.taskDefinition = kind.taskDefinition(this, {
      family,
      cpu: props.cpu ?? 2048,
      memoryMiB: props.memoryMiB ?? 4096,
      runtimePlatform: {
        cpuArchitecture:
          architecture === "arm64" ? ecs.CpuArchitecture.ARM64 : ecs.CpuArchitecture.X86_64,
        operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
      },
      executionRole: roles.executionRole,
      taskRole: roles.taskRole,
    });
    const { image, version } = this.imageOf(props, name, architecture);
    this.image = image;
    this.container = this.taskDefinition.addContainer(RUNNER_CONTAINER, {
      ...kind.container,
      image: this.image,
      essential: true,
      environment: {
        ...kind.container?.environment,
        ...runners.runnerEnvironment,
        ...(props.jobSummary === false ? { AGENT_SUMMARY: "false" } : {}),
        ...props.environment,
      },
      // The longest that Fargate allows; Spot gives a task the same two minutes.
      stopTimeout: Duration.seconds(120),
      logging: this.logging,
      linuxParameters: this.linuxParameters(props.dropCapabilities ?? DROPPED),
    });
    this.addExtraContainers(props.extraContainers ?? {});

    Tags.of(this).add(DEPLOYMENT_TAG, runners.names.deployment);
    Tags.of(this).add(PREFIX_TAG, runners.names.prefix);
    tags[RUNNER_VERSION_TAG] = version;
    const only = { includeResourceTypes: ["AWS::ECS::TaskDefinition"] };
    for (const [key, value] of Object.entries(tags)) {
      if (value !== undefined) {
        Tags.of(this.taskDefinition).add(key, value, only);
      }
    }
    acknowledge(this.taskDefinition, {
      "AwsSolutions-ECS2":
        "Settings that every job may read; the registration is read from Parameter Store.",
    });
    runners.addOffer({
      construct: this,
      family,
      labels,
      repositories,
      runnerGroup,
      ownTaskRole: props.taskRole !== undefined,
      maxRunning: props.maxRunning,
    });
  }

  /** The image, and the value of its version tag. */
  private imageOf(
    props: RunnerProps,
    name: string,
    architecture: RunnerArchitecture,
  ): { image: ecs.ContainerImage; version?: string } {
    const { image, rebuild = false, runners, runnerVersion } = props;
    if (image !== undefined) {
      if (rebuild !== false) {
        throw invalidProp(
          "rebuild",
          rebuild,
          "false, or no image: your own image is not rebuilt here",
        );
      }
      const version =
        runnerVersion && runnerVersionTag("runnerVersion", runnerVersion, runners.names);
      return { image, version };
    }
    if (runnerVersion !== undefined) {
      throw invalidProp(
        "runnerVersion",
        runnerVersion,
        "nothing, unless image is given: the version of our own image is known",
      );
    }
    if (rebuild === false) {
      return { image: ubuntuImage(architecture), version: ubuntuRunnerVersion() };
    }
    const options = rebuild === true ? {} : rebuild;
    const rebuilt = new RebuiltImage(this, "Image", { ...options, runners, name, architecture });
    return { image: rebuilt.image, version: rebuilt.versionParameter };
  }

  private linuxParameters(dropped: readonly ecs.Capability[]): ecs.LinuxParameters | undefined {
    if (dropped.length === 0) {
      return undefined;
    }
    for (const capability of dropped) {
      if (!Object.values(ecs.Capability).includes(capability)) {
        throw invalidProp("dropCapabilities", capability, "values of ecs.Capability, as NET_RAW");
      }
    }
    const parameters = new ecs.LinuxParameters(this, "LinuxParameters");
    parameters.dropCapabilities(...dropped);
    return parameters;
  }

  private addExtraContainers(containers: Record<string, ecs.ContainerDefinitionOptions>): void {
    for (const [name, container] of Object.entries(containers)) {
      if (name === RUNNER_CONTAINER) {
        throw invalidProp("extraContainers", name, `any name but '${RUNNER_CONTAINER}'`);
      }
      // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
      if (!/^[A-Za-z0-9_-]{1,255}$/.test(name)) {
        throw invalidProp(
          "extraContainers",
          name,
          "1 to 255 letters, digits, '-' and '_' in a name",
        );
      }
      this.taskDefinition.addContainer(name, {
        // A container that exits must not end the job; the task ends with the runner.
        essential: false,
        logging: this.logging,
        ...container,
      });
    }
  }
}
