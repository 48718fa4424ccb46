import { App, Stack } from "aws-cdk-lib";
import { FargateRunners } from "fargate-runners";

// Ubuntu runners (x64, 2 vCPU, 4 GiB) for the private repositories of `octo` that the
// GitHub App is installed on, in a VPC of their own: `runs-on: [self-hosted, linux, x64]`.
const stack = new Stack(new App(), "runners");
const runners = new FargateRunners(stack, "Runners", { github: { allowedOwners: ["octo"] } });
runners.addOutputs();
