import { Duration, Stack } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";
import { byDigest, PINNED } from "../images/pinned";
import { invalidProp, oneOf } from "../invalid-prop";
import { Ec2Capacity } from "./ec2-capacity";
import { LIMIT_TAGS } from "./fargate-size";
import { Isolation } from "./instances";
import { ManagedInstancesCapacity } from "./managed-instances-capacity";
import { Runner, RunnerProps } from "./runner";

/** The user that the agent and the job run as in our image, and its group. */
const RUNNER_USER = "1001:1001";
/** A host port below the ephemeral ones that nothing of the instance uses; two tasks can't share it. */
const ALONE_PORT = 9;
/** Where the listener checks repositories out: the daemon must see it under the same path. */
const WORK_FOLDER = "/home/runner/_work";
/** The listener's own Node.js, which it mounts into a job's containers: the daemon must have it too. */
const EXTERNALS = "/home/runner/externals";
/** Where an instance remembers that it has had a job. */
const INSTANCE_FOLDER = "/var/lib/fargate-runners";
const SOCKET_FOLDER = "/run/docker";
const SOCKET = `unix://${SOCKET_FOLDER}/docker.sock`;

/** The containers that such a runner has besides, by what needs them. */
const OWN_CONTAINERS = { docker: ["docker", "externals"], instance: ["once"] } as const;

/**
 * Takes the instance for this task: of all tasks that it ever gets, one can make the directory. An
 * instance that was not replaced in time runs no second job.
 */
const TAKE_INSTANCE =
  "mkdir /instance/taken || { echo 'This instance has had a job already; it waits to be replaced.' >&2; exit 1; }";

/** A runner on EC2. */
export interface Ec2RunnerProps extends Omit<RunnerProps, "architecture"> {
  /** The instances that it runs on. */
  readonly capacity: Ec2Capacity | ManagedInstancesCapacity;
  /**
   * CPU units; 1024 is one vCPU.
   * @default - 2048; on managed instances three quarters of one
   */
  readonly cpu?: number;
  /**
   * Memory in MiB.
   * @default - 4096; on managed instances three quarters of one's
   */
  readonly memoryMiB?: number;
  /**
   * Whether the job has a Docker daemon of its own, in a privileged container beside the
   * runner's. The runner's image must bring a `docker` command.
   * @default true
   */
  readonly docker?: boolean;
  /**
   * Whether an instance runs one job and is then replaced (a managed one: one at a time), or as many
   * as fit. A job with Docker can break out and see others. All runners of a capacity have the same.
   * @default - "instance" with Docker inside, else "shared"
   */
  readonly isolation?: Isolation;
  /**
   * Image of the Docker daemon.
   * @default - docker:28-dind from Amazon's public registry, by digest
   */
  readonly dockerImage?: ecs.ContainerImage;
}

/**
 * A task definition for runners on EC2 instances, with Docker inside.
 *
 * The daemon is the job's own and ends with it: unlike the instance's daemon behind a mounted
 * socket, it shows a job nothing of the others. A privileged container can still break out to the
 * instance, so by default no other job runs there, neither at the same time nor afterwards.
 */
export class Ec2Runner extends Runner {
  constructor(scope: Construct, id: string, props: Ec2RunnerProps) {
    const { architecture } = props.capacity;
    const docker = props.docker ?? true;
    if ("warm" in props && props.warm !== undefined) {
      throw invalidProp(
        "warm",
        props.warm,
        "nothing on EC2: warm tasks run on Fargate; minInstances of the capacity keeps instances ready",
      );
    }
    refuseLimits(props);
    checkSize(props);
    const isolation = oneOf("isolation", props.isolation ?? (docker ? "instance" : "shared"), [
      "instance",
      "shared",
    ]);
    const own = [
      ...(docker ? OWN_CONTAINERS.docker : []),
      ...(isolation === "instance" && props.capacity instanceof Ec2Capacity
        ? OWN_CONTAINERS.instance
        : []),
    ];
    const taken = own.find((name) => props.extraContainers?.[name]);
    if (taken !== undefined) {
      throw invalidProp("extraContainers", taken, `any name but ${own.join(", ")}`);
    }
    const managed = props.capacity instanceof ManagedInstancesCapacity ? props.capacity : undefined;
    const cpu = props.cpu ?? managed?.defaultCpu;
    const memoryMiB = props.memoryMiB ?? managed?.defaultMemoryMiB;
    super(
      scope,
      id,
      { ...props, architecture, cpu, memoryMiB },
      {
        flavour: docker ? "docker" : "ec2",
        capacity: props.capacity.capacity,
        container: {
          ...(managed !== undefined && managed.gpus > 0 && { gpuCount: managed.gpus }),
          environment: {
            // Fargate tells a task its region; ECS on EC2 doesn't.
            AWS_REGION: Stack.of(scope).region,
            ...(docker && { DOCKER_HOST: SOCKET }),
          },
        },
        taskDefinition: (self, { runtimePlatform, ...basics }) =>
          new ecs.TaskDefinition(self, "TaskDefinition", {
            ...basics,
            cpu: String(basics.cpu),
            memoryMiB: String(basics.memoryMiB),
            ...(managed !== undefined
              ? {
                  compatibility: ecs.Compatibility.MANAGED_INSTANCES,
                  // Not the host's network, in which a job would reach the instance's credentials.
                  networkMode: ecs.NetworkMode.AWS_VPC,
                  runtimePlatform,
                }
              : {
                  // The instances decide about the platform; ECS rejects it here.
                  compatibility: ecs.Compatibility.EC2,
                  // A network interface of its own would have no public address, thus no way out of
                  // a public subnet, and an instance has few of them.
                  networkMode: ecs.NetworkMode.BRIDGE,
                }),
          }),
      },
    );
    let once: ecs.ContainerDefinition | undefined;
    if (managed !== undefined) {
      managed.isolate(isolation, { cpu: cpu!, memoryMiB: memoryMiB! });
    } else if (props.capacity instanceof Ec2Capacity) {
      props.capacity.isolate(isolation);
      once = isolation === "instance" ? this.takeInstance() : undefined;
    }
    if (docker) {
      this.addDocker(
        props.dockerImage ?? ecs.ContainerImage.fromRegistry(byDigest(PINNED.docker)),
        once,
      );
    }
  }

  /** Keeps other jobs off the instance: those beside this one, and those after it. */
  private takeInstance(): ecs.ContainerDefinition {
    // ECS places a task only where its host ports are free; nothing listens there, and the
    // security group lets nobody in.
    this.container.addPortMappings({ containerPort: ALONE_PORT, hostPort: ALONE_PORT });
    // Docker makes the directory of a volume that isn't there.
    this.taskDefinition.addVolume({ name: "instance", host: { sourcePath: INSTANCE_FOLDER } });
    const once = this.taskDefinition.addContainer("once", {
      image: this.image,
      essential: false,
      // The directory belongs to root.
      user: "0",
      entryPoint: ["sh", "-c"],
      command: [TAKE_INSTANCE],
      logging: this.logging,
    });
    once.addMountPoints({
      sourceVolume: "instance",
      containerPath: "/instance",
      readOnly: false,
    });
    this.container.addContainerDependencies({
      container: once,
      condition: ecs.ContainerDependencyCondition.SUCCESS,
    });
    return once;
  }

  private addDocker(image: ecs.ContainerImage, once?: ecs.ContainerDefinition): void {
    const shared = [
      { sourceVolume: "work", containerPath: WORK_FOLDER, readOnly: false },
      { sourceVolume: "docker-socket", containerPath: SOCKET_FOLDER, readOnly: false },
    ];
    for (const name of ["work", "docker-socket", "externals"]) {
      this.taskDefinition.addVolume({ name });
    }
    const externals = this.taskDefinition.addContainer("externals", {
      image: this.image,
      essential: false,
      // The volume belongs to root.
      user: "0",
      entryPoint: ["sh", "-c"],
      command: [`cp -a ${EXTERNALS}/. /copy/`],
      logging: this.logging,
    });
    externals.addMountPoints({
      sourceVolume: "externals",
      containerPath: "/copy",
      readOnly: false,
    });
    const daemon = this.taskDefinition.addContainer("docker", {
      image,
      // Otherwise the job would go on without a daemon and fail with a misleading error.
      essential: true,
      privileged: true,
      entryPoint: ["sh", "-c"],
      command: [
        // By the image's own entry point, which first makes room for control groups inside of ours;
        // and at the usual place as well, where the listener looks for what it mounts into containers.
        `chown ${RUNNER_USER} ${WORK_FOLDER} && exec dockerd-entrypoint.sh dockerd ` +
          `--host=${SOCKET} --host=unix:///var/run/docker.sock --group=${RUNNER_USER.split(":")[1]}`,
      ],
      healthCheck: {
        command: ["CMD", "docker", "--host", SOCKET, "info"],
        interval: Duration.seconds(5),
        retries: 10,
      },
      logging: this.logging,
    });
    daemon.addMountPoints(...shared, {
      sourceVolume: "externals",
      containerPath: EXTERNALS,
      readOnly: true,
    });
    daemon.addContainerDependencies({
      container: externals,
      condition: ecs.ContainerDependencyCondition.SUCCESS,
    });
    if (once !== undefined) {
      // No daemon is up for a job that may not run.
      daemon.addContainerDependencies({
        container: once,
        condition: ecs.ContainerDependencyCondition.SUCCESS,
      });
    }
    this.container.addMountPoints(...shared);
    this.container.addContainerDependencies({
      container: daemon,
      condition: ecs.ContainerDependencyCondition.HEALTHY,
    });
  }
}

/** Refuses limits of sizes that jobs ask for: on instances a task is as large as its definition. */
function refuseLimits(props: object): void {
  for (const [prop, value] of Object.entries(props)) {
    if (prop in LIMIT_TAGS && value !== undefined) {
      throw invalidProp(
        prop,
        value,
        "nothing on EC2: there a task has the size of its definition, whatever a job asks for",
      );
    }
  }
}

/** Refuses what ECS takes for no instance: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html */
function checkSize({ cpu, memoryMiB }: RunnerProps): void {
  if (cpu !== undefined && !(Number.isInteger(cpu) && cpu >= 128 && cpu <= 196_608)) {
    throw invalidProp("cpu", cpu, "a whole number from 128 to 196608 (1024 is one vCPU)");
  }
  if (memoryMiB !== undefined && !(Number.isInteger(memoryMiB) && memoryMiB >= 6)) {
    throw invalidProp("memoryMiB", memoryMiB, "a whole number of MiB");
  }
}
