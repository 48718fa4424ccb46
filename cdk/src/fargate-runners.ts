import { Annotations, Duration, RemovalPolicy, Stack, Tags } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import * as sqs from "aws-cdk-lib/aws-sqs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { acknowledge } from "./acknowledge";
import { allowedSources } from "./allowed-sources";
import { Caps, CapsProps } from "./caps/caps";
import { checkLists, checkProps, warnOfIsolation } from "./check-props";
import { Egress } from "./egress/egress";
import { FrontDoor } from "./front-door";
import { GitHubProps, resolveGitHub } from "./github-props";
import { agentPermissions, KeyContext } from "./handlers/grants";
import { Handlers } from "./handlers/handlers";
import { DeployedHandlers, HandlerName } from "./handlers/record";
import { answerBell, stockDenials } from "./handlers/stock-grants";
import { invalidProp, oneOf } from "./invalid-prop";
import { Logs } from "./logs";
import { Monitoring, MonitoringOptions } from "./monitoring/monitoring";
import { maxJobDuration } from "./definition";
import { DEPLOYMENT_TAG, Names } from "./names";
import { PublicVpc } from "./network/public-vpc";
import { RunnerNetwork } from "./network/runner-network";
import { outputs } from "./outputs";
import { give } from "./permission";
import { PolicyParameter } from "./policy-parameter";
import { functionsDirectory, repositoryFile } from "./repository-files";
import { requiredAlternatives } from "./required-labels";
import { Roles } from "./roles";
import { RunnerMachine } from "./runner-machine";
import { audienceWarnings, servedPatterns } from "./runners/audience-warnings";
import { Capacity } from "./runners/capacity";
import { FargateRunner, FargateRunnerProps } from "./runners/fargate-runner";
import { Offer, RunnerHost, WarmRunner } from "./runners/host";
import { checkRolesOf, RepositoryRoles, repositoryRoles } from "./runners/repository-roles";
import { reachabilityWarnings } from "./runners/reachability";
import { SecretsKey } from "./secrets-key";
import { Triggers } from "./triggers";
import { WarmTasks } from "./warm/warm-tasks";
import { idleWarnings } from "./warm/warnings";

/** Context key of the handlers' directory, to synthesize without building them. */
export const HANDLERS_CONTEXT = "fargate-runners:handlersDirectory";

/** A deployment of runners. */
export interface FargateRunnersProps extends CapsProps {
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
   * Where GitHub is, and whose jobs are run: `allowedOwners` or `allowedRepositories` is required.
   */
  readonly github: GitHubProps;
  /**
   * The first runner, or false to define all runners yourself.
   * @default - Ubuntu x64 with 2 vCPU and 4 GiB
   */
  readonly defaultRunner?: Omit<FargateRunnerProps, "runners"> | false;
  /**
   * Which task definitions are offered: those with this deployment's tag, which this stack sets, or
   * all whose family begins with the prefix, whoever registered them.
   * @default "deployment"
   */
  readonly trustedDefinitions?: "deployment" | "prefix";
  /**
   * Roles of single repositories' jobs, whatever runner they choose, by `owner/name` or `owner/*`; the most
   * specific wins. Their path is `rolePath` and `tasks/`.
   * @default - none: jobs run under their runner's task role
   */
  readonly repositoryRoles?: RepositoryRoles;
  /**
   * How long a runner may run, from 10 minutes to GitHub's 5 days; an hour is added for its start. A
   * job that takes longer is ended.
   * @default Duration.hours(6)
   */
  readonly maxJobDuration?: Duration;
  /**
   * Capacity providers of runners that name none.
   * @default Capacity.ON_DEMAND
   */
  readonly capacity?: Capacity;
  /**
   * Where the runners are.
   * @default - a new VPC of public subnets, see PublicVpc
   */
  readonly network?: RunnerNetwork;
  /**
   * PEM file, read at synthesis, with certificate authorities that functions, agent and jobs trust besides
   * the usual ones: those of your Enterprise Server, or of a proxy that decrypts.
   * @default - only the usual ones
   */
  readonly caBundle?: string;
  /**
   * Forward proxy (`http://HOST:PORT`) between the runners' network and the internet: for the agent and
   * the jobs, and with `github.insideNetwork` for the functions there. Images are pulled without it.
   * @default - none
   */
  readonly proxy?: string;
  /**
   * Hosts and domains that are reached without `proxy`, besides AWS services that the network has endpoints
   * for.
   * @default - none
   */
  readonly noProxy?: readonly string[];
  /**
   * What the webhook's address belongs to: a function URL, or an HTTP API for organizations that
   * forbid function URLs without IAM; 1 USD per million requests. The address changes with it.
   * @default "function-url"
   */
  readonly frontDoor?: "function-url" | "http-api";
  /**
   * Requests a second that the HTTP API lets through, twice as many at once; the others get a 429 and
   * are redelivered later. From 1 to 5000.
   * @default 100
   */
  readonly requestsPerSecond?: number;
  /**
   * Ranges of addresses (CIDR) that webhooks may come from, or `github` for those that GitHub publishes,
   * read at synthesis. They change: deploy again when the alarm for unsigned requests rings.
   * @default - from anywhere
   */
  readonly allowedSources?: readonly string[] | "github";
  /**
   * The processor of the functions; not of the runners.
   * @default lambda.Architecture.ARM_64
   */
  readonly architecture?: lambda.Architecture;
  /**
   * Directory with `<handler>/bootstrap`, or `<handler>.zip`, for each function.
   * @default - the context's fargate-runners:handlersDirectory, else target/lambda of the checkout, or what the package carries
   */
  readonly handlersDirectory?: string;
  /**
   * The state machine's definition.
   * @default - statemachine/runner.asl.json of the checkout, or what the package carries
   */
  readonly definitionFile?: string;
  /**
   * Environment variables of single functions, over those that follow from the other props: the
   * README's table lists what there is. Never a secret.
   * @default - none
   */
  readonly handlerEnvironment?: Partial<Record<HandlerName, Record<string, string>>>;
  /**
   * Reserved concurrency of single functions. An account with a low quota has none to reserve.
   * @default - none
   */
  readonly reservedConcurrency?: Partial<Record<HandlerName, number>>;
  /**
   * How much the functions log: error, warn, info, debug or trace.
   * @default "info"
   */
  readonly logLevel?: "error" | "warn" | "info" | "debug" | "trace";
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
   * Your own key for everything secret in Parameter Store: the App's secrets and the runners'
   * registrations. Its policy must let this account's IAM decide.
   * @default - `secretsKey` for the App's secrets, the AWS-managed key aws/ssm for registrations
   */
  readonly parameterKey?: kms.IKeyRef;
  /**
   * Whether the App's secrets get a key that only the functions may decrypt with; from 1 USD a month.
   * Without it, everybody in the account with `ssm:GetParameter` can read them.
   * @default - true, unless `parameterKey` is given
   */
  readonly secretsKey?: boolean;
  /**
   * Who else may decrypt the App's secrets: the principals that run `fargate-runners setup --check` or
   * `--rotate-webhook-secret`.
   * @default - nobody
   */
  readonly secretsReaders?: readonly iam.IPrincipal[];
  /**
   * Boundary of all roles.
   * @default - none
   */
  readonly permissionsBoundary?: iam.IManagedPolicy;
  /**
   * Path of all roles; those that tasks run under are below it in `tasks/`, and no others may be
   * passed to a task.
   * @default - the prefix between slashes
   */
  readonly rolePath?: string;
  /**
   * Whether X-Ray traces executions.
   * @default false - the execution's history has the same data
   */
  readonly tracing?: boolean;
  /**
   * Whether ECS measures each task. It is billed by metric, and every job is a new task.
   * @default false
   */
  readonly containerInsights?: boolean;
  /**
   * Dashboard, alarms and saved queries.
   * @default - all of them, alarms without a topic
   */
  readonly monitoring?: MonitoringOptions;
}

/**
 * Ephemeral self-hosted GitHub Actions runners: from the webhook to the container.
 *
 * @example
 * const github = { allowedOwners: ["octo"] };
 * const runners = new FargateRunners(stack, "Runners", { github });
 * runners.addOutputs();
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
  /** The functions; that of warm tasks from the first runner on that has some. */
  readonly handlers: DeployedHandlers;
  /** Capacity of runners that name none. */
  readonly capacity: Capacity;
  /** Where the runners are. */
  readonly network: RunnerNetwork;
  /** Variables of every runner's container: the proxy and the certificate authorities. */
  readonly runnerEnvironment: Readonly<Record<string, string>>;
  /** The first runner, unless switched off. */
  readonly defaultRunner?: FargateRunner;
  /** Queue of events that failed permanently. */
  readonly deadLetters: sqs.Queue;
  /** Dashboard, alarms and saved queries. */
  readonly monitoring: Monitoring;
  /** Key of the App's secrets, unless switched off or given. */
  readonly secretsKey?: kms.Key;
  /** Makes all roles. */
  readonly roles: Roles;
  /** Log group of all runners: the agent, the listener and extra containers. */
  readonly runnerLog: logs.LogGroup;

  private readonly functions: Handlers;
  private readonly machine: RunnerMachine;
  private readonly key: KeyContext;
  private readonly github: Required<GitHubProps>;
  private readonly repositoryRoles: RepositoryRoles;
  private readonly offers: Offer[] = [];
  private readonly taskRoles: iam.IRole[] = [];
  private readonly caps: Caps;
  private readonly maxJobSeconds: number;
  private warmTasks?: WarmTasks;
  private capped = false;
  private reruns = false;

  constructor(scope: Construct, id: string, props: FargateRunnersProps) {
    super(scope, id);
    this.names = new Names(this, props.prefix ?? "fargate-runners", props.deployment ?? "fr");
    const { names } = this;
    Tags.of(this).add(DEPLOYMENT_TAG, names.deployment);
    checkProps(props);
    this.github = resolveGitHub(props.github);
    this.caps = new Caps(props, this.github);
    this.maxJobSeconds = maxJobDuration(props.maxJobDuration).toSeconds();
    this.roles = new Roles({
      path: props.rolePath ?? `/${names.prefix}/`,
      permissionsBoundary: props.permissionsBoundary,
    });
    const logGroups = new Logs(
      props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      props.logRemovalPolicy ?? RemovalPolicy.DESTROY,
    );
    this.runnerLog = logGroups.group(this, "RunnerLog", names.runnerLogGroup);
    new PolicyParameter(this, "Policy", names, this.github);
    this.key = {
      names,
      region: Stack.of(this).region,
      parameterKeyArn: props.parameterKey?.keyRef.keyArn,
    };

    this.network = props.network ?? new PublicVpc(this, "Network");
    const egress = new Egress(this, this.network, props);
    this.runnerEnvironment = egress.ofRunners;
    if (props.proxy === undefined) {
      warnOfIsolation(this, this.network, this.github.apiUrl);
    }
    if (Construct.isConstruct(this.network)) {
      // NAT gateways and endpoints are the largest cost of an idle deployment.
      Tags.of(this.network).add(DEPLOYMENT_TAG, names.deployment);
    }
    this.cluster = this.newCluster(props.containerInsights ?? false);
    this.deadLetters = new sqs.Queue(this, "DeadLetters", {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, {
      "AwsSolutions-SQS3": "It is the dead-letter queue itself.",
    });

    const trustedDefinitions = oneOf(
      "trustedDefinitions",
      props.trustedDefinitions ?? "deployment",
      ["deployment", "prefix"],
    );
    const sources = allowedSources(props.allowedSources, this.github.apiUrl);
    checkLists(this.github, sources);
    this.capacity = props.capacity ?? Capacity.ON_DEMAND;
    this.repositoryRoles = props.repositoryRoles ?? {};
    for (const role of new Set(Object.values(this.repositoryRoles))) {
      // The state machine may pass whatever is under the path.
      this.giveTaskRole(role);
    }
    this.functions = new Handlers(this, {
      context: {
        ...this.key,
        github: this.github,
        network: this.network,
        egress,
        capacity: this.capacity,
        trustedDefinitions,
        taskRolePath: this.roles.taskPath,
        repositoryRoles: props.repositoryRoles && {
          names: repositoryRoles(this, props.repositoryRoles, {
            ...this.github,
            names,
            taskPath: this.roles.taskPath,
          }),
          path: names.roleArns(this.roles.taskPath).slice(0, -1),
        },
        allowedSources: sources,
        logLevel: props.logLevel ?? "info",
        waitingLimit: props.monitoring?.waitingLimit,
      },
      architecture: props.architecture ?? lambda.Architecture.ARM_64,
      directory:
        props.handlersDirectory ??
        (this.node.tryGetContext(HANDLERS_CONTEXT) as string | undefined) ??
        functionsDirectory((props.architecture ?? lambda.Architecture.ARM_64).name),
      environment: props.handlerEnvironment ?? {},
      reservedConcurrency: props.reservedConcurrency ?? {},
      roles: this.roles,
      logs: logGroups,
    });
    this.handlers = this.functions.all;
    const { verify, cleanup, sweep } = this.handlers;
    this.secretsKey = this.newSecretsKey(props);

    this.machine = new RunnerMachine(this, "Machine", {
      names,
      definitionFile: props.definitionFile ?? repositoryFile("statemachine", "runner.asl.json"),
      handlers: this.handlers,
      trustedDefinitions,
      maxJobDuration: maxJobDuration(props.maxJobDuration),
      roles: this.roles,
      logs: logGroups,
      tracing: props.tracing ?? false,
    });
    this.stateMachine = this.machine.stateMachine;

    const frontDoor = new FrontDoor(this, "FrontDoor", {
      kind: oneOf("frontDoor", props.frontDoor ?? "function-url", ["function-url", "http-api"]),
      requestsPerSecond: props.requestsPerSecond,
      verify: verify.function,
      deadLetters: this.deadLetters,
    });
    this.webhookUrl = frontDoor.url;
    new Triggers(this, "Triggers", {
      cleanup: cleanup.function,
      sweep: sweep.function,
      clusterArn: this.cluster.clusterArn,
      stateMachineArn: this.stateMachine.stateMachineArn,
      deadLetters: this.deadLetters,
    });
    this.monitoring = new Monitoring(this, "Monitoring", {
      ...props.monitoring,
      names,
      stateMachine: this.stateMachine,
      handlers: this.handlers,
      webhookServerErrors: frontDoor.serverErrors,
      overflow: frontDoor.overflow,
      deadLetters: this.deadLetters,
    });

    this.addCaps();
    if (props.defaultRunner !== false) {
      this.defaultRunner = new FargateRunner(this, "Ubuntu", {
        ...props.defaultRunner,
        runners: this,
      });
    }
  }

  /**
   * Gives the stack the outputs by which people and the command line find the deployment. Call it after
   * the last runner has been added: the first with warm tasks brings a function.
   */
  addOutputs(): void {
    outputs(this, this.github.apiUrl);
  }

  addTaskRole(role: iam.IRole, own: boolean): void {
    this.giveTaskRole(role);
    if (own) {
      this.machine.allowPassing(role);
    }
  }

  private giveTaskRole(role: iam.IRole): void {
    give(role, agentPermissions(this.key));
    this.taskRoles.push(role);
    if (this.warmTasks !== undefined) {
      give(role, stockDenials(this.names));
    }
  }

  addOffer(offer: Offer): void {
    if (this.offers.some(({ family }) => family === offer.family)) {
      const name = offer.family.slice(this.names.familyPrefix.length);
      throw invalidProp("name", name, "a name that no other runner of this deployment has");
    }
    const warnings = reachabilityWarnings(
      offer,
      this.offers,
      requiredAlternatives(this.github.requiredLabels, this.github),
    );
    for (const { offer: about, id, message } of warnings) {
      Annotations.of(about.construct).addWarningV2(`fargate-runners:${id}`, message);
    }
    for (const { id, message } of audienceWarnings(offer, this.github)) {
      Annotations.of(offer.construct).addWarningV2(`fargate-runners:${id}`, message);
    }
    checkRolesOf(offer, this.repositoryRoles, this.github.scope);
    this.offers.push(offer);
    if (offer.maxRunning !== undefined) {
      this.caps.addOffer(offer.family, offer.maxRunning);
      this.addCaps();
    }
  }

  addWarmTasks({ pool, taskRole, ownTaskRole }: WarmRunner): void {
    if (this.warmTasks?.isKept !== true) {
      this.keepWarmTasks();
    }
    this.warmTasks!.add(pool);
    const { construct, repositories, maxRunning } = this.offers.find(
      ({ family }) => family === pool.family,
    )!;
    for (const { id, message } of idleWarnings(pool, {
      maxRunning: this.caps.narrower(maxRunning),
      repositories: repositories ?? servedPatterns(this.github),
      withRole: Object.keys(this.repositoryRoles),
    })) {
      Annotations.of(construct).addWarningV2(`fargate-runners:${id}`, message);
    }
    this.monitoring.addPool(pool.family);
    give(taskRole, answerBell(this.names));
    if (ownTaskRole) {
      this.warmTasks!.allowPassing(taskRole);
    }
  }

  addReruns(): void {
    if (this.reruns) {
      return;
    }
    this.reruns = true;
    this.withTable();
    this.functions.addReruns(this.names.stockTable);
    if (this.github.insideNetwork) {
      // The functions are in the runners' network and call the table from there.
      this.network.addWarmTasks?.();
    }
  }

  addRecycling(capacity: string, machine: sfn.IStateMachine): void {
    this.monitoring.addRecycling(capacity, machine);
  }

  /** What a deployment has from the first runner on that has warm tasks. */
  private keepWarmTasks(): void {
    this.functions.addWarmTasks();
    const { table } = this.withTable();
    this.warmTasks!.keep(this.handlers.stock!.function);
    this.machine.addWarmTasks(table, repositoryFile("statemachine", "warm.asl.json"));
    this.network.addWarmTasks?.();
    this.monitoring.addWarmTasks(this.handlers);
  }

  /** What a deployment has from the first cap on. */
  private addCaps(): void {
    if (this.capped || !this.caps.any) {
      return;
    }
    this.capped = true;
    this.withTable();
    this.functions.addCaps(this.caps.variable(this.names.stockTable, this.maxJobSeconds));
    this.machine.addCaps(repositoryFile("statemachine", "caps.asl.json"));
    if (this.github.insideNetwork) {
      // The functions are in the runners' network and call the table from there.
      this.network.addWarmTasks?.();
    }
    this.monitoring.addCaps();
  }

  /** The table of the stock, the leases and the jobs to run again, which no job may touch. */
  private withTable(): WarmTasks {
    if (this.warmTasks === undefined) {
      this.warmTasks = new WarmTasks(this, "WarmTasks", this.names);
      this.taskRoles.forEach((role) => give(role, stockDenials(this.names)));
    }
    return this.warmTasks;
  }

  private newSecretsKey(props: FargateRunnersProps): kms.Key | undefined {
    const { parameterKey, secretsKey = parameterKey === undefined, secretsReaders } = props;
    if (secretsKey && parameterKey !== undefined) {
      throw invalidProp("secretsKey", true, "false, or no parameterKey, which is then used");
    }
    if (!secretsKey) {
      if (secretsReaders !== undefined) {
        const value = secretsReaders.map(String);
        throw invalidProp("secretsReaders", value, "nothing without secretsKey");
      }
      return undefined;
    }
    const { names, handlers } = this;
    return new SecretsKey(this, "SecretsKey", { names, handlers, readers: secretsReaders ?? [] })
      .key;
  }

  private newCluster(insights: boolean): ecs.Cluster {
    const cluster = new ecs.Cluster(this, "Cluster", {
      clusterName: this.names.cluster,
      vpc: this.network.vpc,
      enableFargateCapacityProviders: true,
      containerInsightsV2: insights
        ? ecs.ContainerInsights.ENABLED
        : ecs.ContainerInsights.DISABLED,
    });
    if (!insights) {
      acknowledge(cluster, {
        "AwsSolutions-ECS4":
          "Container Insights bills by metric and every job is a new task; containerInsights switches it on.",
      });
    }
    return cluster;
  }
}
