import { App, CfnOutput, Stack } from "aws-cdk-lib";
import { FargateRunner, FargateRunners } from "fargate-runners";

const stack = new Stack(new App(), "runners");

// `runs-on: [self-hosted, linux, arm64]`: a fifth cheaper than x64.
const runners = new FargateRunners(stack, "Runners", {
  github: { allowedOwners: ["octo"] },
  defaultRunner: { architecture: "arm64", cpu: 4096, memoryMiB: 8192 },
});

// x64 for what needs it. It offers one label more than the other, so a job that names no processor
// goes to arm64.
new FargateRunner(stack, "X64", {
  runners,
  labels: ["self-hosted", "linux", "x64", "ubuntu", "intel"],
});

new CfnOutput(stack, "WebhookUrl", { value: runners.webhookUrl });
