import { Stack } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";
import { acknowledge } from "../acknowledge";
import { invalidProp } from "../invalid-prop";
import { checkCidr } from "./cidr";

/** Addresses of a VPC unless given. */
export const DEFAULT_CIDR = "10.0.0.0/16";

/** How many zones a VPC has subnets in unless told otherwise. */
export const DEFAULT_ZONES = 2;

const TABLE_ENDPOINT = "DynamoDb";

/** For how many zones each subnet leaves addresses. */
const ZONES = 4;

/** Props of every VPC that we create. */
export interface NewVpcProps {
  /**
   * Addresses of the VPC, as a CIDR block. A task takes one address of its subnet.
   * @default "10.0.0.0/16"
   */
  readonly cidr?: string;
  /**
   * In how many availability zones there are subnets, up to four. More zones mean more Spot
   * capacity to choose from. A stack without a fixed region sees two.
   * @default 2
   */
  readonly maxAzs?: number;
  /**
   * Whether accepted and rejected connections are logged to CloudWatch Logs.
   * @default false - billed by volume, and runners transfer much
   */
  readonly flowLogs?: boolean;
}

/**
 * Adds the gateway endpoint for DynamoDB, which warm tasks ask twice a second. It costs nothing, and
 * keeps that off a NAT gateway.
 */
export function addTableEndpoint(vpc: ec2.Vpc): void {
  vpc.addGatewayEndpoint(TABLE_ENDPOINT, { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB });
}

/** Hosts of the services that gateways lead to: S3, and with warm tasks DynamoDB. */
export function gatewayHosts(vpc: ec2.Vpc): string[] {
  const { region, urlSuffix } = Stack.of(vpc);
  const warm = vpc.node.tryFindChild(TABLE_ENDPOINT) !== undefined;
  // The SDKs put the account's id before `ddb`.
  const services = ["s3", ...(warm ? ["dynamodb", "ddb"] : [])];
  return services.map((service) => `${service}.${region}.${urlSuffix}`);
}

/** A VPC with the gateway endpoint for S3, which keeps image layers and caches off a NAT gateway. */
export function newVpc(
  scope: Construct,
  props: NewVpcProps,
  shape: Required<Pick<ec2.VpcProps, "natGateways" | "subnetConfiguration">>,
): ec2.Vpc {
  const maxAzs = props.maxAzs ?? DEFAULT_ZONES;
  if (!(Number.isInteger(maxAzs) && maxAzs >= 1 && maxAzs <= ZONES)) {
    throw invalidProp("maxAzs", maxAzs, `1 to ${ZONES}`);
  }
  const cidr = props.cidr ?? DEFAULT_CIDR;
  checkCidr("cidr", cidr, ZONES * shape.subnetConfiguration.length);
  const zones = Math.min(maxAzs, Stack.of(scope).availabilityZones.length);
  const vpc = new ec2.Vpc(scope, "Vpc", {
    ...shape,
    ipAddresses: ec2.IpAddresses.cidr(cidr),
    maxAzs,
    // A zone that is added later must not move the subnets that are there.
    reservedAzs: ZONES - zones,
    // It would need a custom resource, thus a function in another language; nothing of ours is
    // ever in the default group.
    restrictDefaultSecurityGroup: false,
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
  });
  if (props.flowLogs ?? false) {
    vpc.addFlowLog("FlowLog");
  } else {
    acknowledge(vpc, {
      "AwsSolutions-VPC7":
        "Billed by volume, and nothing can connect to a runner; flowLogs switches them on.",
    });
  }
  return vpc;
}
