import assert from "node:assert/strict";
import { test } from "node:test";
import { Config, CONFIG_KEYS } from "../app/config";
import {
  BUNDLE,
  appTemplate,
  CAPS_CHANGES,
  dummyHandlers,
  RERUN_CHANGES,
  WARM_CHANGES,
} from "./support";
import { changes, Resources, unexpected } from "./template-diff";

/** A value that isn't the default, what changes with it or fails, and what it goes with. */
type Effect<T> = readonly [value: T, changes: string[] | RegExp, beside?: Config];

const GITHUB = [
  "TokenFunction.Environment",
  "CleanupFunction.Environment",
  "SweepFunction.Environment",
];
const VPC: Config = { vpcId: "vpc-00000001", subnetIds: ["subnet-00000001"] };
const SERVER: Config = {
  githubApiUrl: "https://github.example.org/api/v3",
  image: "111111111111.dkr.ecr.us-east-1.amazonaws.com/runner:1",
};
const ACCOUNT = "111111111111";

const POLICY = ["VerifyFunction.Environment", "Policy.Value"];

/** One entry per key: the compiler refuses a table that leaves one out. */
const EFFECTS: { readonly [K in keyof Required<Config>]: Effect<Required<Config>[K]> } = {
  prefix: ["other", ["*"]],
  deployment: [
    "x",
    [
      "*.Tags",
      "*Function.Environment",
      "*.Dimensions",
      "*WebhooksUnsigned.Metrics",
      "*.DashboardBody",
    ],
  ],
  githubApiUrl: ["https://github.example.org/api/v3", GITHUB],
  githubInsideNetwork: [
    true,
    ["*Function.VpcConfig", "*RoleDefaultPolicy.PolicyDocument", "+NetworkVpc*"],
    { network: "isolated", ...SERVER },
  ],
  runnerScope: ["organization", [...GITHUB, "Policy.Value"]],
  runnerGroup: [
    "Fargate",
    ["TokenFunction.Environment", "Policy.Value"],
    { runnerScope: "organization" },
  ],
  registration: ["token", ["TokenFunction.Environment"]],
  maxRunning: [2, [...CAPS_CHANGES, "UbuntuRoles*"]],
  rerunAfterInterruption: [true, [...RERUN_CHANGES, "Ubuntu*.Tags", "UbuntuRoles*"]],
  maxRunningPerRepository: [2, [...CAPS_CHANGES, "UbuntuRoles*"]],
  maxRunningOf: [{ "octo/hello": 2 }, [...CAPS_CHANGES, "UbuntuRoles*"]],
  maxJobDurationMinutes: [720, ["MachineStateMachine.DefinitionString"]],
  allowedOwners: [["cats"], POLICY],
  allowedRepositories: [["octo/hello"], POLICY],
  allowPublicRepositories: [true, ["TokenFunction.Environment", ...POLICY]],
  allowForks: [false, ["TokenFunction.Environment"]],
  allowInternalRepositories: [true, ["TokenFunction.Environment", ...POLICY]],
  requiredLabels: [["linux"], ["VerifyFunction.Environment"]],
  reconcileCalls: [20, ["SweepFunction.Environment"], { allowedRepositories: ["octo/hello"] }],
  checkRuns: [true, ["CleanupFunction.Environment"]],
  runners: [[{ name: "big", cpu: 4096, memoryMiB: 8192 }], ["-Ubuntu*", "+big*"]],
  image: ["example.org/other:1", ["UbuntuTaskDefinition.ContainerDefinitions"]],
  runnerVersion: ["2.338.0", ["UbuntuTaskDefinition.Tags"]],
  // The image that these tests name speaks against it: it got where it should.
  rebuildWeekly: [true, /Invalid rebuildWeekly: true\. Allowed: false, or no image/],
  labels: [["self-hosted", "other"], ["UbuntuTaskDefinition.Tags"]],
  maxCpu: [4, ["UbuntuTaskDefinition.Tags"], { maxMemory: 8 }],
  maxMemory: [8, ["UbuntuTaskDefinition.Tags"]],
  maxDisk: [100, ["UbuntuTaskDefinition.Tags"]],
  repositoryRoles: [
    { "octo/infra": `arn:aws:iam::${ACCOUNT}:role/fargate-runners/tasks/infra` },
    ["LaunchFunction.Environment", "+RepositoryRole0*"],
  ],
  runnerArchitecture: ["arm64", ["UbuntuTaskDefinition.*"]],
  capacity: [["FARGATE_SPOT"], ["LaunchFunction.Environment"]],
  warm: [2, [...WARM_CHANGES, "Ubuntu*"]],
  trustedDefinitions: [
    "prefix",
    [
      "MatchFunction.Environment",
      "SweepFunction.Environment",
      "MachineRoleDefaultPolicy.PolicyDocument",
    ],
  ],
  network: ["nat", ["+Network*", "Network*", "LaunchFunction.Environment"]],
  cidr: ["10.1.0.0/16", ["NetworkVpc*.CidrBlock"]],
  maxAzs: [1, ["-Network*Subnet2*", "LaunchFunction.Environment", "NetworkVpcS3.RouteTableIds"]],
  natGateways: [
    2,
    ["+NetworkVpcPublicSubnet2*", "NetworkVpcRunnersSubnet2DefaultRoute.NatGatewayId"],
    { network: "nat" },
  ],
  flowLogs: [true, ["+NetworkVpcFlowLog*"]],
  vpcId: ["vpc-00000002", ["NetworkSecurityGroup.VpcId"], VPC],
  subnetIds: [["subnet-00000002"], ["LaunchFunction.Environment"], VPC],
  securityGroupIds: [["sg-00000001"], ["-NetworkSecurityGroup", "LaunchFunction.Environment"], VPC],
  caBundle: [
    BUNDLE,
    [
      "+CaBundle*",
      ...GITHUB,
      "TokenFunction.Layers",
      "CleanupFunction.Layers",
      "SweepFunction.Layers",
      "UbuntuTaskDefinition.ContainerDefinitions",
    ],
  ],
  proxy: ["http://proxy.example.org:3128", ["UbuntuTaskDefinition.ContainerDefinitions"]],
  noProxy: [
    ["git.example.org"],
    ["UbuntuTaskDefinition.ContainerDefinitions"],
    { proxy: "http://proxy.example.org:3128" },
  ],
  assignPublicIp: [true, ["LaunchFunction.Environment"], VPC],
  frontDoor: ["http-api", ["-VerifyFunction*", "+FrontDoorApi*", "MonitoringAlarmsWebhookDown.*"]],
  requestsPerSecond: [5, ["FrontDoorApiStage.DefaultRouteSettings"], { frontDoor: "http-api" }],
  allowedSources: [["192.30.252.0/22"], ["VerifyFunction.Environment"]],
  webhookConcurrency: [50, ["VerifyFunction.ReservedConcurrentExecutions"]],
  architecture: ["x86_64", ["*Function.Architectures"]],
  handlersDirectory: [dummyHandlers("other"), ["*Function.Code"]],
  definitionFile: [
    `${__dirname}/fixtures/definition.asl.json`,
    ["MachineStateMachine.DefinitionString"],
  ],
  logLevel: ["debug", ["*Function.Environment"]],
  logRetentionDays: [7, ["*Log.RetentionInDays"]],
  keepLogs: [true, ["*Log.DeletionPolicy"]],
  parameterKeyArn: [
    `arn:aws:kms:us-east-1:${ACCOUNT}:key/x`,
    ["*.PolicyDocument", "TokenFunction.Environment", "-SecretsKey*"],
  ],
  secretsKey: [false, ["-SecretsKey*"]],
  secretsReaderArns: [[`arn:aws:iam::${ACCOUNT}:role/operator`], ["SecretsKey.KeyPolicy"]],
  permissionsBoundaryArn: [`arn:aws:iam::${ACCOUNT}:policy/x`, ["*.PermissionsBoundary"]],
  rolePath: ["/other/", ["*.Path", "MachineRoleDefaultPolicy.PolicyDocument"]],
  alarmTopicArn: [`arn:aws:sns:us-east-1:${ACCOUNT}:topic`, ["*.AlarmActions", "*.OKActions"]],
  waitingLimitSeconds: [60, ["SweepFunction.Environment"]],
  alarms: [false, ["-MonitoringAlarms*", "MonitoringDashboard.DashboardBody"]],
  dashboard: [false, ["-MonitoringDashboard"]],
  savedQueries: [false, ["-MonitoringSavedQueries*"]],
  tracing: [
    true,
    ["MachineStateMachine.TracingConfiguration", "MachineRoleDefaultPolicy.PolicyDocument"],
  ],
  containerInsights: [true, ["Cluster.ClusterSettings"]],
};

const resources = (config: Config) => appTemplate(config).toJSON().Resources as Resources;
const BASELINE = resources({});

for (const key of CONFIG_KEYS) {
  const [value, expected, beside] = EFFECTS[key];
  test(`${key} changes what it says, and nothing else`, () => {
    const before = beside === undefined ? BASELINE : resources(beside);
    if (expected instanceof RegExp) {
      assert.throws(() => resources({ [key]: value }), expected);
      return;
    }
    const after = resources({ ...beside, [key]: value });
    assert.deepEqual(unexpected(changes(before, after), expected), []);
  });
}
