import { App, Stack } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import {
  Capacity,
  Ec2Capacity,
  Ec2Runner,
  ExistingVpc,
  FargateRunner,
  FargateRunners,
  FargateRunnersProps,
  IsolatedVpc,
  ManagedInstancesCapacity,
  NatVpc,
} from "../src";

/** What is needed to synthesize without anything having been built. */
export interface Placeholders {
  /** Directory with `<handler>/bootstrap` for each function. */
  readonly handlersDirectory: string;
  /** Something to take along as the agent. */
  readonly agentFile: string;
}

const image = ecs.ContainerImage.fromRegistry("registry.example/ubuntu-runner:1");

/**
 * Deployments that between them hold every type of resource and every policy there is, for the
 * checks that read templates.
 */
export const VARIANTS: Readonly<
  Record<string, (stack: Stack, base: FargateRunnersProps, placeholders: Placeholders) => void>
> = {
  spot: (stack, base) => {
    const vpc = ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
      vpcId: "vpc-0123456789abcdef0",
      availabilityZones: ["us-east-1a"],
      privateSubnetIds: ["subnet-0123456789abcdef0"],
    });
    new FargateRunners(stack, "Runners", {
      ...base,
      network: new ExistingVpc(stack, "Network", { vpc }),
      capacity: Capacity.SPOT_WITH_FALLBACK,
    });
  },
  isolated: (stack, base) => {
    new FargateRunners(stack, "Runners", {
      ...base,
      network: new IsolatedVpc(stack, "Network", { flowLogs: true, handlerEndpoints: true }),
      github: { ...base.github, apiUrl: "https://github.example.org/api/v3", insideNetwork: true },
      parameterKey: new kms.Key(stack, "Key", { enableKeyRotation: true }),
      rolePath: "/build/",
    });
  },
  observed: (stack, base) => {
    new FargateRunners(stack, "Runners", {
      ...base,
      frontDoor: "http-api",
      network: new NatVpc(stack, "Network", { flowLogs: true }),
      tracing: true,
      containerInsights: true,
    });
  },
  docker: (stack, base) => {
    const runners = new FargateRunners(stack, "Runners", { ...base, defaultRunner: false });
    const capacity = new Ec2Capacity(stack, "Capacity", { runners });
    new Ec2Runner(stack, "Docker", { runners, capacity, image });
  },
  managed: (stack, base) => {
    const network = new NatVpc(stack, "Network");
    const runners = new FargateRunners(stack, "Runners", {
      ...base,
      defaultRunner: false,
      network,
    });
    const capacity = new ManagedInstancesCapacity(stack, "Capacity", { runners, gpus: 1 });
    new Ec2Runner(stack, "Docker", { runners, capacity, image });
  },
  warm: (stack, base) => {
    const runners = new FargateRunners(stack, "Runners", {
      ...base,
      defaultRunner: {
        image,
        warm: {
          schedule: [{ days: ["mon", "fri"], from: "22:00", to: "06:00", size: 2 }],
          linger: { size: 1, minutes: 30 },
          maxPerRepository: 1,
        },
      },
    });
    const taskRole = new iam.Role(stack, "Role", {
      assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
    });
    const capacity = Capacity.SPOT_WITH_FALLBACK;
    const warm = { size: 1 };
    new FargateRunner(stack, "Deploy", {
      runners,
      name: "deploy",
      image,
      taskRole,
      capacity,
      warm,
    });
  },
  capped: (stack, base) => {
    const runners = new FargateRunners(stack, "Runners", {
      ...base,
      maxRunning: 20,
      maxRunningPerRepository: 5,
      maxRunningOf: { "octo/hello": 2 },
    });
    new FargateRunner(stack, "Large", { runners, name: "large", image, maxRunning: 1 });
  },
  rebuilt: (stack, base, { agentFile }) => {
    new FargateRunners(stack, "Runners", { ...base, defaultRunner: { rebuild: { agentFile } } });
  },
};

/** Synthesizes a variant; answers its stack. */
export function synthesizeVariant(name: string, placeholders: Placeholders, outdir?: string) {
  // As in the app: the toolkit lets a function depend on a role that it refers to anyway.
  const app = new App({ outdir, analyticsReporting: false });
  const stack = new Stack(app, name);
  stack.templateOptions.metadata = { "cfn-lint": { config: { ignore_checks: ["W3005"] } } };
  const { handlersDirectory } = placeholders;
  const github = { allowedOwners: ["octo"] };
  const base = { handlersDirectory, defaultRunner: { image }, github };
  VARIANTS[name]!(stack, base, placeholders);
  app.synth();
  return stack;
}

if (require.main === module) {
  const [outdir, handlersDirectory, agentFile] = process.argv.slice(2);
  if (outdir === undefined || handlersDirectory === undefined || agentFile === undefined) {
    console.error("usage: tsx scripts/variants.ts OUTPUT HANDLERS AGENT");
    process.exit(2);
  }
  for (const name of Object.keys(VARIANTS)) {
    synthesizeVariant(name, { handlersDirectory, agentFile }, outdir);
  }
}
