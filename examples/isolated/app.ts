import { App, CfnOutput, Stack } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as kms from "aws-cdk-lib/aws-kms";
import { FargateRunners, IsolatedVpc } from "fargate-runners";

const stack = new Stack(new App(), "runners");

// No way to the internet: AWS by endpoints, GitHub Enterprise Server by a transit gateway.
const network = new IsolatedVpc(stack, "Network", {
  cidr: "10.40.0.0/16",
  flowLogs: true,
  handlerEndpoints: true,
});
const gateway = new ec2.CfnTransitGatewayAttachment(stack, "ToTheOffice", {
  transitGatewayId: "tgw-00000000000000000",
  vpcId: network.vpc.vpcId,
  subnetIds: network.subnets.map((subnet) => subnet.subnetId),
});
network.subnets.forEach((subnet, index) => {
  new ec2.CfnRoute(stack, `Office${index}`, {
    routeTableId: subnet.routeTable.routeTableId,
    destinationCidrBlock: "10.0.0.0/13",
    transitGatewayId: gateway.transitGatewayId,
  }).addDependency(gateway);
});

const runners = new FargateRunners(stack, "Runners", {
  network,
  github: {
    apiUrl: "https://github.example.com/api/v3",
    // The functions that call GitHub run in the same subnets.
    insideNetwork: true,
    scope: "organization",
    allowedOwners: ["octo"],
  },
  // The secrets are encrypted with a key whose use is seen in the account's trail.
  parameterKey: new kms.Key(stack, "Key", {
    description: "Secrets of the runners",
    enableKeyRotation: true,
  }),
});

new CfnOutput(stack, "WebhookUrl", { value: runners.webhookUrl });
