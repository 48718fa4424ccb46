import { App, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { Schedule } from "aws-cdk-lib/aws-events";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import * as sns from "aws-cdk-lib/aws-sns";
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import {
  AlarmsOptions,
  Capacity,
  Ec2Capacity,
  Ec2CapacityProps,
  Ec2Runner,
  Ec2RunnerProps,
  ManagedInstancesCapacity,
  ManagedInstancesCapacityProps,
  ExistingVpc,
  ExistingVpcProps,
  FargateRunner,
  FargateRunnerProps,
  FargateRunners,
  FargateRunnersProps,
  GitHubProps,
  IsolatedVpc,
  IsolatedVpcProps,
  MonitoringOptions,
  NatVpc,
  NatVpcProps,
  NewVpcProps,
  PublicVpc,
  RebuiltImage,
  RebuiltImageProps,
  WarmProps,
} from "../src";
import {
  BUNDLE,
  dummyAgent,
  dummyHandlers,
  GITHUB,
  HANDLERS_DIRECTORY,
  IMAGE,
  CAPS_CHANGES,
  RERUN_CHANGES,
  WARM_CHANGES,
} from "./support";
import { changes, replacements, Resources, show, unexpected } from "./template-diff";

/** A value of a prop that isn't its default, and what differs when it is given. */
interface Effect<T> {
  readonly value: (stack: Stack) => T;
  /** Everything that changes, `*` for anything. */
  readonly changes: string[];
  /** Props that it goes only with. */
  readonly beside?: object;
  /** What CloudFormation replaces or removes for it. */
  readonly replaces?: string[];
}

/** One entry per prop: the compiler refuses a table that leaves one out. */
type Effects<P> = { readonly [K in keyof Required<P>]: Effect<P[K]> };

function check<P>(
  subject: string,
  effects: Effects<P>,
  build: (stack: Stack, props: Partial<P>) => void,
): void {
  const resources = (props: (stack: Stack) => Partial<P>): Resources => {
    const stack = new Stack(new App(), "Test");
    build(stack, props(stack));
    return Template.fromStack(stack).toJSON().Resources as Resources;
  };
  const plain = resources(() => ({}));
  for (const [prop, effect] of Object.entries(effects) as [keyof P & string, Effect<unknown>][]) {
    test(`${subject}: ${prop} changes what it says, and nothing else`, () => {
      const { beside } = effect;
      const before = beside === undefined ? plain : resources(() => beside as Partial<P>);
      const after = resources(
        (stack) => ({ ...beside, [prop]: effect.value(stack) }) as Partial<P>,
      );
      const found = changes(before, after);
      assert.deepEqual(unexpected(found, effect.changes), []);
      assert.deepEqual(
        unexpected(replacements(found), effect.replaces ?? []),
        [],
        `replaced: ${replacements(found).map(show).join(", ")}`,
      );
    });
  }
}

const base = {
  handlersDirectory: HANDLERS_DIRECTORY,
  defaultRunner: { image: IMAGE },
  github: GITHUB,
};
const withRunners = (stack: Stack, props: Partial<FargateRunnersProps> = {}) =>
  new FargateRunners(stack, "Runners", { ...base, ...props });

check<FargateRunnersProps>(
  "FargateRunners",
  {
    maxRunning: { value: () => 2, changes: [...CAPS_CHANGES, "UbuntuRoles*"] },
    maxRunningPerRepository: { value: () => 2, changes: [...CAPS_CHANGES, "UbuntuRoles*"] },
    maxRunningOf: {
      value: () => ({ "octo/hello": 2 }),
      changes: [...CAPS_CHANGES, "UbuntuRoles*"],
    },
    prefix: {
      value: () => "other",
      changes: [
        "*.FunctionName",
        "*.LogGroupName",
        "*Function.Environment",
        "*.Tags",
        "*.PolicyDocument",
        "*.Path",
        "Cluster.ClusterName",
        "MachineStateMachine.StateMachineName",
        "*.AlarmName",
        "*.DashboardName",
        "*SavedQueries*.Name",
        "UbuntuTaskDefinition.Family",
        "Ubuntu*.Tags",
        "SecretsKey*",
        "Policy.Name",
      ],
      // It is in every name: another prefix is another deployment.
      replaces: [
        "*.FunctionName",
        "*.LogGroupName",
        "*.Path",
        "Cluster.ClusterName",
        "MachineStateMachine.StateMachineName",
        "*.AlarmName",
        "*.DashboardName",
        "SecretsKeyAlias.AliasName",
        "Policy.Name",
      ],
    },
    deployment: {
      value: () => "x",
      changes: [
        "*.Tags",
        "*Function.Environment",
        "*.Dimensions",
        "*WebhooksUnsigned.Metrics",
        "*.DashboardBody",
      ],
    },
    github: {
      value: () => ({ ...GITHUB, apiUrl: "https://github.example.org/api/v3" }),
      changes: [
        "TokenFunction.Environment",
        "CleanupFunction.Environment",
        "SweepFunction.Environment",
      ],
    },
    defaultRunner: {
      value: () => false as const,
      changes: ["-Ubuntu*"],
      replaces: ["-Ubuntu*"],
    },
    maxJobDuration: {
      value: () => Duration.hours(12),
      changes: ["MachineStateMachine.DefinitionString"],
    },
    trustedDefinitions: {
      value: () => "prefix",
      changes: [
        "MatchFunction.Environment",
        "SweepFunction.Environment",
        "MachineRoleDefaultPolicy.PolicyDocument",
      ],
    },
    repositoryRoles: {
      value: (stack) => ({
        "octo/infra": new iam.Role(stack, "Own", {
          assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
          path: "/fargate-runners/tasks/",
        }),
      }),
      changes: ["LaunchFunction.Environment", "+Own*"],
    },
    capacity: { value: () => Capacity.SPOT, changes: ["LaunchFunction.Environment"] },
    network: {
      value: (stack) => new NatVpc(stack, "Other"),
      changes: ["-Network*", "+Other*", "LaunchFunction.Environment"],
      replaces: ["-Network*"],
    },
    caBundle: {
      value: () => BUNDLE,
      changes: [
        "+CaBundle*",
        "TokenFunction.Environment",
        "TokenFunction.Layers",
        "CleanupFunction.Environment",
        "CleanupFunction.Layers",
        "SweepFunction.Environment",
        "SweepFunction.Layers",
        "UbuntuTaskDefinition.ContainerDefinitions",
      ],
    },
    proxy: {
      value: () => "http://proxy.example.org:3128",
      changes: ["UbuntuTaskDefinition.ContainerDefinitions"],
    },
    noProxy: {
      value: () => ["git.example.org"],
      beside: { proxy: "http://proxy.example.org:3128" },
      changes: ["UbuntuTaskDefinition.ContainerDefinitions"],
    },
    frontDoor: {
      value: () => "http-api",
      changes: [
        "-VerifyFunctionFunctionUrl*",
        "-VerifyFunctioninvokefunction*",
        "+FrontDoorApi*",
        "MonitoringAlarmsWebhookDown*",
      ],
      replaces: ["-VerifyFunction*"],
    },
    requestsPerSecond: {
      value: () => 5,
      beside: { frontDoor: "http-api" },
      changes: ["FrontDoorApiStage.DefaultRouteSettings"],
    },
    allowedSources: {
      value: () => ["192.30.252.0/22"],
      changes: ["VerifyFunction.Environment"],
    },
    architecture: {
      value: () => lambda.Architecture.X86_64,
      changes: ["*Function.Architectures"],
    },
    handlersDirectory: { value: () => dummyHandlers("other"), changes: ["*Function.Code"] },
    definitionFile: {
      value: () => join(__dirname, "fixtures", "definition.asl.json"),
      changes: ["MachineStateMachine.DefinitionString"],
    },
    handlerEnvironment: {
      value: () => ({ sweep: { SWEEP_IDLE_SECONDS: "200" } }),
      changes: ["SweepFunction.Environment"],
    },
    reservedConcurrency: {
      value: () => ({ sweep: 1 }),
      changes: ["SweepFunction.ReservedConcurrentExecutions"],
    },
    logLevel: { value: () => "debug", changes: ["*Function.Environment"] },
    logRetention: { value: () => RetentionDays.ONE_DAY, changes: ["*Log.RetentionInDays"] },
    logRemovalPolicy: { value: () => RemovalPolicy.RETAIN, changes: ["*Log.DeletionPolicy"] },
    parameterKey: {
      value: (stack) =>
        kms.Key.fromKeyArn(stack, "Key", "arn:aws:kms:us-east-1:111111111111:key/x"),
      changes: [
        "VerifyRoleDefaultPolicy.PolicyDocument",
        "TokenRoleDefaultPolicy.PolicyDocument",
        "TokenFunction.Environment",
        "CleanupRoleDefaultPolicy.PolicyDocument",
        "SweepRoleDefaultPolicy.PolicyDocument",
        "UbuntuRolesTaskDefaultPolicy.PolicyDocument",
        "-SecretsKey*",
      ],
      replaces: ["-SecretsKey*"],
    },
    secretsKey: {
      value: () => false,
      changes: ["-SecretsKey*"],
      replaces: ["-SecretsKey*"],
    },
    secretsReaders: {
      value: () => [new iam.ArnPrincipal("arn:aws:iam::111111111111:role/operator")],
      changes: ["SecretsKey.KeyPolicy"],
    },
    permissionsBoundary: {
      value: (stack) => iam.ManagedPolicy.fromManagedPolicyName(stack, "Boundary", "b"),
      changes: ["*Role.PermissionsBoundary", "UbuntuRoles*.PermissionsBoundary"],
    },
    rolePath: {
      value: () => "/other/",
      changes: ["*Role.Path", "UbuntuRoles*.Path", "MachineRoleDefaultPolicy.PolicyDocument"],
      replaces: ["*Role.Path", "UbuntuRoles*.Path"],
    },
    tracing: {
      value: () => true,
      changes: [
        "MachineStateMachine.TracingConfiguration",
        "MachineRoleDefaultPolicy.PolicyDocument",
      ],
    },
    containerInsights: { value: () => true, changes: ["Cluster.ClusterSettings"] },
    monitoring: {
      value: () => ({ dashboard: false }),
      changes: ["-MonitoringDashboard"],
      replaces: ["-MonitoringDashboard"],
    },
  },
  withRunners,
);

check<GitHubProps>(
  "github",
  {
    apiUrl: {
      value: () => "https://api.octo.ghe.com",
      changes: [
        "TokenFunction.Environment",
        "CleanupFunction.Environment",
        "SweepFunction.Environment",
      ],
    },
    scope: {
      value: () => "organization",
      changes: [
        "TokenFunction.Environment",
        "CleanupFunction.Environment",
        "SweepFunction.Environment",
        "Policy.Value",
      ],
    },
    runnerGroup: {
      value: () => "Fargate",
      beside: { scope: "organization" },
      changes: ["TokenFunction.Environment", "Policy.Value"],
    },
    registration: { value: () => "token", changes: ["TokenFunction.Environment"] },
    allowedOwners: {
      value: () => ["octo"],
      changes: ["VerifyFunction.Environment", "Policy.Value"],
    },
    allowedRepositories: {
      value: () => ["octo/hello"],
      changes: ["VerifyFunction.Environment", "Policy.Value"],
    },
    allowPublicRepositories: {
      value: () => true,
      changes: ["TokenFunction.Environment", "VerifyFunction.Environment", "Policy.Value"],
    },
    allowForks: { value: () => false, changes: ["TokenFunction.Environment"] },
    allowInternalRepositories: {
      value: () => true,
      changes: ["TokenFunction.Environment", "VerifyFunction.Environment", "Policy.Value"],
    },
    requiredLabels: { value: () => ["linux"], changes: ["VerifyFunction.Environment"] },
    reconcileCalls: { value: () => 20, changes: ["SweepFunction.Environment"] },
    checkRuns: { value: () => true, changes: ["CleanupFunction.Environment"] },
    insideNetwork: {
      value: () => true,
      changes: [
        "TokenFunction.VpcConfig",
        "CleanupFunction.VpcConfig",
        "SweepFunction.VpcConfig",
        "TokenRoleDefaultPolicy.PolicyDocument",
        "CleanupRoleDefaultPolicy.PolicyDocument",
        "SweepRoleDefaultPolicy.PolicyDocument",
      ],
    },
  },
  (stack, props) => {
    // What `reconcileCalls` needs.
    const github = { allowedRepositories: ["octo/base"], ...props };
    withRunners(stack, { github, network: new IsolatedVpc(stack, "Network") });
  },
);

const task = "RunnerTaskDefinition";
check<Omit<FargateRunnerProps, "runners">>(
  "FargateRunner",
  {
    name: {
      value: () => "big",
      changes: [`${task}.Family`],
    },
    labels: { value: () => ["self-hosted", "gpu"], changes: [`${task}.Tags`] },
    architecture: {
      value: () => "arm64",
      changes: [`${task}.RuntimePlatform`, `${task}.Family`, `${task}.Tags`],
    },
    image: {
      value: () => ecs.ContainerImage.fromRegistry("example.org/other:1"),
      changes: [`${task}.ContainerDefinitions`],
    },
    rebuild: {
      value: () => ({ agentFile: dummyAgent() }),
      changes: [
        "+RunnerImage*",
        "RunnerRolesExecutionDefaultPolicy.PolicyDocument",
        `${task}.ContainerDefinitions`,
        `${task}.Tags`,
      ],
    },
    runnerVersion: { value: () => "2.338.0", changes: [`${task}.Tags`] },
    cpu: { value: () => 1024, changes: [`${task}.Cpu`] },
    memoryMiB: { value: () => 8192, changes: [`${task}.Memory`] },
    ephemeralStorageGiB: { value: () => 100, changes: [`${task}.EphemeralStorage`] },
    maxCpu: { value: () => 4, beside: { maxMemory: 8 }, changes: [`${task}.Tags`] },
    maxMemory: { value: () => 16, changes: [`${task}.Tags`] },
    maxDisk: { value: () => 100, changes: [`${task}.Tags`] },
    capacity: { value: () => Capacity.SPOT_WITH_FALLBACK, changes: [`${task}.Tags`] },
    warm: {
      value: () => ({ size: 2 }),
      changes: [...WARM_CHANGES, "RunnerRolesTaskDefaultPolicy.PolicyDocument", `${task}.Tags`],
    },
    taskRole: {
      value: (stack) =>
        new iam.Role(stack, "Own", {
          assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
        }),
      changes: [
        "-RunnerRolesTask*",
        "+Own*",
        "MachineRoleDefaultPolicy.PolicyDocument",
        `${task}.TaskRoleArn`,
      ],
      replaces: ["-RunnerRolesTask*"],
    },
    repositories: { value: () => ["octo/hello", "cats/*"], changes: [`${task}.Tags`] },
    maxRunning: {
      value: () => 2,
      changes: [...CAPS_CHANGES, "RunnerRolesTaskDefaultPolicy.PolicyDocument"],
    },
    rerunAfterInterruption: {
      value: () => true,
      changes: [...RERUN_CHANGES, "RunnerRolesTaskDefaultPolicy.PolicyDocument", `${task}.Tags`],
    },
    runnerGroup: { value: () => "Builders", changes: [`${task}.Tags`] },
    dropCapabilities: {
      value: () => [ecs.Capability.ALL],
      changes: [`${task}.ContainerDefinitions`],
    },
    jobSummary: { value: () => false, changes: [`${task}.ContainerDefinitions`] },
    shell: {
      value: () => true,
      changes: ["RunnerRolesTaskDefaultPolicy.PolicyDocument", `${task}.Tags`],
    },
    environment: {
      value: () => ({ HTTPS_PROXY: "http://proxy.example.org" }),
      changes: [`${task}.ContainerDefinitions`],
    },
    extraContainers: {
      value: () => ({ postgres: { image: IMAGE } }),
      changes: [`${task}.ContainerDefinitions`],
    },
  },
  (stack, props) => {
    const github = { ...GITHUB, scope: "organization" } as const;
    const runners = withRunners(stack, { defaultRunner: false, github });
    const image = props.rebuild === undefined ? IMAGE : undefined;
    new FargateRunner(stack, "Runner", { image, ...props, runners });
  },
);

const stock = "StockFunction.Environment";
check<WarmProps>(
  "warm",
  {
    size: { value: () => 3, changes: [stock, `${task}.Tags`] },
    schedule: {
      value: () => [{ days: ["mon"], from: "08:00", to: "18:00", size: 4 }],
      changes: [stock, `${task}.Tags`],
    },
    linger: { value: () => ({ size: 1, minutes: 30 }), changes: [stock] },
    maxAge: { value: () => Duration.hours(1), changes: [stock] },
    maxPerRepository: { value: () => 1, changes: [stock, `${task}.Tags`] },
    spot: {
      value: () => false,
      changes: [stock, `${task}.Tags`],
    },
  },
  (stack, props) => {
    const runners = withRunners(stack, { defaultRunner: false });
    const capacity = Capacity.SPOT_WITH_FALLBACK;
    const warm = { size: 2, ...props };
    new FargateRunner(stack, "Runner", { runners, image: IMAGE, capacity, warm });
  },
);

check<Omit<RebuiltImageProps, "runners">>(
  "RebuiltImage",
  {
    name: {
      value: () => "other",
      changes: [
        "ImageProject.Description",
        "ImageProject.Environment",
        "ImageProject.LogsConfig",
        "ImageRoleDefaultPolicy.PolicyDocument",
      ],
    },
    architecture: {
      value: () => "arm64",
      changes: ["ImageProject.Environment", "ImageProject.Source", "ImageRoleDefaultPolicy.*"],
    },
    schedule: {
      value: () => Schedule.rate(Duration.days(1)),
      changes: ["ImageWeekly.ScheduleExpression"],
    },
    agentFile: {
      value: () => dummyAgent("other"),
      changes: ["ImageProject.Source", "ImageRoleDefaultPolicy.PolicyDocument"],
    },
    compression: { value: () => "gzip", changes: ["ImageProject.Environment"] },
  },
  (stack, props) => {
    const runners = withRunners(stack);
    new RebuiltImage(stack, "Image", { name: "x", agentFile: dummyAgent(), ...props, runners });
  },
);

check<Omit<Ec2CapacityProps, "runners">>(
  "Ec2Capacity",
  {
    name: {
      value: () => "big",
      changes: ["CapacityProvider.Name"],
      replaces: ["CapacityProvider.Name"],
    },
    architecture: {
      value: () => "arm64",
      changes: ["CapacityLaunchTemplate.LaunchTemplateData"],
    },
    instanceType: {
      value: () => new ec2.InstanceType("c7i.2xlarge"),
      changes: ["CapacityLaunchTemplate.LaunchTemplateData"],
    },
    minInstances: { value: () => 1, changes: ["CapacityInstancesASG.MinSize"] },
    maxInstances: { value: () => 3, changes: ["CapacityInstancesASG.MaxSize"] },
    diskGiB: { value: () => 200, changes: ["CapacityLaunchTemplate.LaunchTemplateData"] },
  },
  (stack, props) => {
    new Ec2Capacity(stack, "Capacity", { ...props, runners: withRunners(stack) });
  },
);

const provider = "CapacityProvider.ManagedInstancesProvider";

check<Omit<ManagedInstancesCapacityProps, "runners">>(
  "ManagedInstancesCapacity",
  {
    name: {
      value: () => "big",
      changes: ["CapacityProvider.Name"],
      replaces: ["CapacityProvider.Name"],
    },
    architecture: { value: () => "arm64", changes: [provider] },
    vCpus: { value: () => 8, changes: [provider] },
    memoryGiB: { value: () => 32, changes: [provider] },
    gpus: { value: () => 1, changes: [provider] },
    diskGiB: { value: () => 200, changes: [provider] },
    spot: { value: () => true, changes: [provider] },
    scaleInAfter: { value: () => Duration.minutes(5), changes: [provider] },
    instanceRequirements: {
      value: () => ({ burstablePerformance: ec2.BurstablePerformance.EXCLUDED }),
      changes: [provider],
    },
  },
  (stack, props) => {
    const runners = withRunners(stack, { network: new NatVpc(stack, "Network") });
    new ManagedInstancesCapacity(stack, "Capacity", { ...props, runners });
  },
);

/** What goes where no instance is replaced any more. */
const RECYCLING = [
  "-CapacityRecycling*",
  "-MonitoringAlarmsInstanceNotReplaced*",
  "MonitoringDashboard.DashboardBody",
];

check<Pick<Ec2RunnerProps, "docker" | "dockerImage" | "isolation">>(
  "Ec2Runner",
  {
    docker: {
      value: () => false,
      changes: [
        `${task}.ContainerDefinitions`,
        `${task}.Family`,
        `${task}.Tags`,
        `${task}.Volumes`,
        ...RECYCLING,
      ],
      replaces: RECYCLING.filter((change) => change.startsWith("-")),
    },
    dockerImage: { value: () => IMAGE, changes: [`${task}.ContainerDefinitions`] },
    isolation: {
      value: () => "shared",
      changes: [`${task}.ContainerDefinitions`, `${task}.Volumes`, ...RECYCLING],
      replaces: RECYCLING.filter((change) => change.startsWith("-")),
    },
  },
  (stack, props) => {
    const runners = withRunners(stack, { defaultRunner: false });
    const capacity = new Ec2Capacity(stack, "Capacity", { runners });
    new Ec2Runner(stack, "Runner", { image: IMAGE, ...props, capacity, runners });
  },
);

check<MonitoringOptions>(
  "monitoring",
  {
    alarms: {
      value: () => false as const,
      changes: ["-MonitoringAlarms*", "MonitoringDashboard.DashboardBody"],
      replaces: ["-MonitoringAlarms*"],
    },
    dashboard: {
      value: () => false,
      changes: ["-MonitoringDashboard"],
      replaces: ["-MonitoringDashboard"],
    },
    waitingLimit: {
      value: () => Duration.minutes(5),
      changes: ["SweepFunction.Environment"],
    },
    savedQueries: {
      value: () => false,
      changes: ["-MonitoringSavedQueries*"],
      replaces: ["-MonitoringSavedQueries*"],
    },
  },
  (stack, monitoring) => void withRunners(stack, { monitoring }),
);

check<AlarmsOptions>(
  "alarms",
  {
    topic: {
      value: (stack) =>
        sns.Topic.fromTopicArn(stack, "Topic", "arn:aws:sns:us-east-1:111111111111:alarms"),
      changes: ["MonitoringAlarms*.AlarmActions", "MonitoringAlarms*.OKActions"],
    },
    webhooksUnusable: {
      value: () => 5,
      changes: ["MonitoringAlarmsWebhooksUnusable.Threshold"],
    },
    webhooksUnsigned: {
      value: () => 1,
      changes: ["MonitoringAlarmsWebhooksUnsigned.Threshold"],
    },
    rateLimitRemaining: {
      value: () => 1,
      changes: ["MonitoringAlarmsRateLimit.Threshold"],
    },
    runnerVersionAgeDays: {
      value: () => 1,
      changes: ["MonitoringAlarmsRunnerVersionAge.Threshold"],
    },
  },
  (stack, alarms) => void withRunners(stack, { monitoring: { dashboard: false, alarms } }),
);

const newVpc: Effects<NewVpcProps> = {
  cidr: {
    value: () => "10.1.0.0/16",
    changes: ["NetworkVpc.CidrBlock", "*Subnet.CidrBlock"],
    replaces: ["NetworkVpc.CidrBlock", "*Subnet.CidrBlock"],
  },
  maxAzs: {
    value: () => 1,
    changes: ["-Network*Subnet2*", "LaunchFunction.Environment", "*.RouteTableIds"],
    replaces: ["-Network*Subnet2*"],
  },
  flowLogs: { value: () => true, changes: ["+NetworkVpcFlowLog*"] },
};

check<NewVpcProps>("PublicVpc", newVpc, (stack, props) => {
  withRunners(stack, { network: new PublicVpc(stack, "Network", props) });
});

check<NatVpcProps>(
  "NatVpc",
  {
    ...newVpc,
    natGateways: {
      value: () => 2,
      changes: ["+NetworkVpcPublicSubnet2*", "NetworkVpcRunnersSubnet2DefaultRoute.NatGatewayId"],
    },
  },
  (stack, props) => void withRunners(stack, { network: new NatVpc(stack, "Network", props) }),
);

check<IsolatedVpcProps>(
  "IsolatedVpc",
  {
    ...newVpc,
    cidr: {
      ...newVpc.cidr,
      changes: [...newVpc.cidr.changes, "NetworkEndpointSecurityGroup.SecurityGroupIngress"],
    },
    maxAzs: { ...newVpc.maxAzs, changes: [...newVpc.maxAzs.changes, "NetworkVpc*.SubnetIds"] },
    handlerEndpoints: {
      value: () => true,
      changes: ["+NetworkVpcEcs", "+NetworkVpcStates", "+NetworkVpcLambda"],
    },
  },
  (stack, props) => void withRunners(stack, { network: new IsolatedVpc(stack, "Network", props) }),
);

const importVpc = (stack: Stack, id: string) =>
  ec2.Vpc.fromVpcAttributes(stack, id, {
    vpcId: `vpc-${id.toLowerCase()}`,
    availabilityZones: ["us-east-1a"],
    privateSubnetIds: ["subnet-private"],
  });

check<Omit<ExistingVpcProps, "vpc">>(
  "ExistingVpc",
  {
    subnets: {
      value: (stack) => [ec2.Subnet.fromSubnetId(stack, "Subnet", "subnet-other")],
      changes: ["LaunchFunction.Environment"],
    },
    securityGroups: {
      value: (stack) => [ec2.SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-other")],
      changes: ["LaunchFunction.Environment", "-NetworkSecurityGroup"],
      replaces: ["-NetworkSecurityGroup"],
    },
    assignPublicIp: { value: () => true, changes: ["LaunchFunction.Environment"] },
  },
  (stack, props) => {
    const vpc = importVpc(stack, "Vpc");
    withRunners(stack, { network: new ExistingVpc(stack, "Network", { ...props, vpc }) });
  },
);
