import { App } from "aws-cdk-lib";
import { readConfig } from "../app/config";
import { FargateRunnersStack } from "../app/stack";

const app = new App();
const config = readConfig(app.node.getAllContext());
new FargateRunnersStack(app, config.prefix ?? "fargate-runners", config, {
  description: "Ephemeral self-hosted GitHub Actions runners on ECS",
});
