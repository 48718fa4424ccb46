import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { Capacity } from "./capacity";
import { FargateRunner, FargateRunnerProps } from "./fargate-runner";
import { FrontDoor } from "./front-door";
import { GitHubProps, resolveGitHub } from "./github-props";
import { Handler } from "./handler";
import { HandlerCode } from "./handler-code";
import { handlerEnvironment } from "./handler-environment";
import { HANDLER_SIZES } from "./handler-sizes";
import { HandlerName, HANDLERS, Names } from "./names";
import { PublicVpc } from "./network/public-vpc";
import { RunnerNetwork } from "./network/runner-network";
import { agentPermissions, handlerPermissions, PermissionsProps } from "./permissions";
import { repositoryFile } from "./repository-files";
import { OfferedRunner, RunnerHost } from "./runner";
import { RunnerMachine } from "./runner-machine";
import { Triggers } from "./triggers";

/** A deployment of runners; every prop has a default. */
export interface FargateRunnersProps {
  /**
   * What the deployment's names begin with: functions, log groups, task definitions, SSM
   * parameters. One per account and region.
   * @default "fargate-runners"
   */
  readonly prefix?: string;
  /**
   * What each runner's name at GitHub begins with; deployments in one organization need different
   * ones.
   * @default "fr"
   */
  readonly deployment?: string;
  /**
   * How the deployment meets GitHub.
   * @default - github.com, runners registered at the repository, private repositories only
   */
  readonly github?: GitHubProps;
  /**
   * The runner that the deployment has from the start, or false to bring all of them yourself.
   * @default - Ubuntu x64 with 2 vCPU and 4 GiB
   */
  readonly defaultRunner?: Omit<FargateRunnerProps, "runners"> | false;
  /**
   * Which capacity providers run the tasks of runners that don't say.
   * @default Capacity.ON_DEMAND
   */
  readonly capacity?: Capacity;
  /**
   * Where the runners are.
   * @default - a new VPC of public subnets, see PublicVpc
   */
  readonly network?: RunnerNetwork;
  /**
   * The processor of the functions; not of the runners.
   * @default lambda.Architecture.ARM_64
   */
  readonly architecture?: lambda.Architecture;
  /**
   * Directory with `<handler>/bootstrap` for each function.
   * @default - target/lambda of the checkout, or what the package carries
   */
  readonly handlersDirectory?: string;
  /**
   * The state machine's definition.
   * @default - statemachine/runner.asl.json of the checkout, or what the package carries
   */
  readonly definitionFile?: string;
  /**
   * How much the functions log: error, warn, info, debug or trace.
   * @default "info"
   */
  readonly logLevel?: string;
  /**
   * How long logs are kept.
   * @default logs.RetentionDays.ONE_MONTH
   */
  readonly logRetention?: logs.RetentionDays;
  /**
   * Whether logs outlive the stack. A kept log group must be deleted by hand before a deployment
   * with the same prefix.
   * @default RemovalPolicy.DESTROY
   */
  readonly logRemovalPolicy?: RemovalPolicy;
  /**
   * Path of all roles; those that tasks run under are below it in `tasks/`.
   * @default - the prefix between slashes
   */
  readonly rolePath?: string;
}

/**
 * Ephemeral self-hosted GitHub Actions runners: from the webhook to the container.
 *
 * @example
 * const runners = new FargateRunners(stack, "Runners");
 * new CfnOutput(stack, "Webhook", { value: runners.webhookUrl });
 */
export class FargateRunners extends Construct implements RunnerHost {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** Where GitHub sends `workflow_job` events. */
  readonly webhookUrl: string;
  /** The state machine of which every job is one execution. */
  readonly stateMachine: sfn.StateMachine;
  /** The cluster that the tasks run in. */
  readonly cluster: ecs.Cluster;
  /** The six functions. */
  readonly handlers: Readonly<Record<HandlerName, Handler>>;
  /** Where the runners are. */
  readonly network: RunnerNetwork;
  /** The runner that the deployment has from the start, unless switched off. */
  readonly defaultRunner?: FargateRunner;
  /** Events that nobody could handle. */
  readonly deadLetters: sqs.Queue;
  /** Path of the roles that tasks run under. */
  readonly taskRolePath: string;

  private readonly machine: RunnerMachine;
  private readonly permissions: PermissionsProps;
  private readonly logDefaults: Required<Pick<logs.LogGroupProps, "retention" | "removalPolicy">>;
  private readonly offered: OfferedRunner[] = [];

  constructor(scope: Construct, id: string, props: FargateRunnersProps = {}) {
    super(scope, id);
    this.names = new Names(this, props.prefix ?? "fargate-runners", props.deployment ?? "fr");
    const { names } = this;
    const rolePath = props.rolePath ?? `/${names.prefix}/`;
    this.taskRolePath = `${rolePath}tasks/`;
    this.permissions = { names, region: Stack.of(this).region };
    this.logDefaults = {
      retention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      removalPolicy: props.logRemovalPolicy ?? RemovalPolicy.DESTROY,
    };

    this.network = props.network ?? new PublicVpc(this, "Network");
    this.cluster = new ecs.Cluster(this, "Cluster", {
      clusterName: names.cluster,
      vpc: this.network.vpc,
    });
    (this.cluster.node.defaultChild as ecs.CfnCluster).capacityProviders = [
      "FARGATE",
      "FARGATE_SPOT",
    ];
    this.deadLetters = new sqs.Queue(this, "DeadLetters", {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });

    const architecture = props.architecture ?? lambda.Architecture.ARM_64;
    const code = new HandlerCode(
      props.handlersDirectory ?? repositoryFile("target", "lambda"),
      architecture,
    );
    const environment = handlerEnvironment({
      names,
      github: resolveGitHub(props.github ?? {}),
      network: this.network,
      capacity: props.capacity ?? Capacity.ON_DEMAND,
      logLevel: props.logLevel ?? "info",
    });
    const handler = (name: HandlerName): Handler =>
      new Handler(this, name.charAt(0).toUpperCase() + name.slice(1), {
        ...HANDLER_SIZES[name],
        functionName: names.function(name),
        code: code.of(name),
        architecture,
        environment: environment[name],
        permissions: handlerPermissions(name, this.permissions),
        rolePath,
        logRetention: this.logDefaults.retention,
        removalPolicy: this.logDefaults.removalPolicy,
      });
    this.handlers = Object.fromEntries(HANDLERS.map((name) => [name, handler(name)])) as Record<
      HandlerName,
      Handler
    >;
    const { verify, match, launch, token, cleanup, sweep } = this.handlers;

    this.machine = new RunnerMachine(this, "Machine", {
      names,
      definitionFile: props.definitionFile ?? repositoryFile("statemachine", "runner.asl.json"),
      functions: {
        match: match.function,
        launch: launch.function,
        token: token.function,
        cleanup: cleanup.function,
      },
      rolePath,
      taskRolePath: this.taskRolePath,
      logRetention: this.logDefaults.retention,
      removalPolicy: this.logDefaults.removalPolicy,
      tracing: false,
    });
    this.stateMachine = this.machine.stateMachine;

    const frontDoor = new FrontDoor(this, "FrontDoor", {
      verify: verify.function,
      deadLetters: this.deadLetters,
      timeout: HANDLER_SIZES.verify.timeout,
    });
    this.webhookUrl = frontDoor.url.url;
    new Triggers(this, "Triggers", {
      cleanup: cleanup.function,
      sweep: sweep.function,
      clusterArn: this.cluster.clusterArn,
      stateMachineArn: this.stateMachine.stateMachineArn,
      deadLetters: this.deadLetters,
    });

    if (props.defaultRunner !== false) {
      this.defaultRunner = new FargateRunner(this, "Ubuntu", {
        ...props.defaultRunner,
        runners: this,
      });
    }
  }

  agentPermissions(): iam.PolicyStatement[] {
    return agentPermissions(this.permissions);
  }

  newLogGroup(scope: Construct, id: string, name: string): logs.LogGroup {
    return new logs.LogGroup(scope, id, { logGroupName: name, ...this.logDefaults });
  }

  register(runner: OfferedRunner): void {
    this.offered.push(runner);
  }

  allowPassing(role: iam.IRole): void {
    this.machine.allowPassing(role);
  }
}
