import { App, CfnOutput, Stack } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as s3 from "aws-cdk-lib/aws-s3";
import { Capacity, ExistingVpc, FargateRunner, FargateRunners } from "fargate-runners";

// A VPC can only be looked up in an account and region that are known: put yours here.
const stack = new Stack(new App(), "runners", {
  env: { account: "111111111111", region: "eu-west-1" },
});

const runners = new FargateRunners(stack, "Runners", {
  // The private subnets of a VPC that is there already.
  network: new ExistingVpc(stack, "Network", {
    vpc: ec2.Vpc.fromLookup(stack, "Vpc", { tags: { team: "build" } }),
  }),
  // Spot, and on demand when there is none or when a job's runner was taken away.
  capacity: Capacity.SPOT_WITH_FALLBACK,
  github: {
    scope: "organization",
    runnerGroup: "Fargate",
    allowedOwners: ["octo"],
  },
});

// A second, larger runner: `runs-on: [self-hosted, linux, x64, large]`. A deployment that takes an
// hour should not be taken away in the middle, so it runs on demand.
const large = new FargateRunner(stack, "Large", {
  runners,
  name: "large-x64",
  labels: ["self-hosted", "linux", "x64", "ubuntu", "large"],
  cpu: 8192,
  memoryMiB: 16384,
  ephemeralStorageGiB: 100,
  capacity: Capacity.ON_DEMAND,
});

// Its jobs may write here; those of the other runner may not.
const artifacts = new s3.Bucket(stack, "Artifacts", {
  blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
  enforceSSL: true,
});
artifacts.grantPut(large);

new CfnOutput(stack, "WebhookUrl", { value: runners.webhookUrl });
