import { Stack } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";
import { addTableEndpoint, DEFAULT_CIDR, gatewayHosts, newVpc, NewVpcProps } from "./new-vpc";
import { RunnerNetwork, runnerSecurityGroup } from "./runner-network";

/** A VPC without a way to the internet. */
export interface IsolatedVpcProps extends NewVpcProps {
  /**
   * Whether there are endpoints for what `token`, `cleanup` and `sweep` call too, so that they can
   * run here: needed together with `github.insideNetwork`.
   * @default false
   */
  readonly handlerEndpoints?: boolean;
}

const SERVICES = ec2.InterfaceVpcEndpointAwsService;
/** What a task calls: its image, its log, its registration. Layers come through S3's gateway. */
const RUNNER_ENDPOINTS = {
  EcrApi: SERVICES.ECR,
  EcrDocker: SERVICES.ECR_DOCKER,
  Logs: SERVICES.CLOUDWATCH_LOGS,
  Ssm: SERVICES.SSM,
};
/** What the services of those endpoints are called at. */
const RUNNER_HOSTS = ["api.ecr", "dkr.ecr", "logs", "ssm"];
/** What the functions that talk to GitHub call besides. */
const HANDLER_ENDPOINTS = {
  Ecs: SERVICES.ECS,
  States: SERVICES.STEP_FUNCTIONS,
  Lambda: SERVICES.LAMBDA,
};
/** The endpoint of ECS Exec's sessions, where a runner allows a shell. */
const SHELL_ENDPOINT = "SsmMessages";
const HANDLER_HOSTS = ["ecs", "states", "lambda"];

/**
 * A VPC without a way to the internet: AWS is reached through endpoints. GitHub must be reached
 * through something that you add: a peering or transit gateway to an Enterprise Server, or a
 * proxy, see the deployment's `proxy`.
 *
 * An interface endpoint costs about 7 USD a month in each zone.
 */
export class IsolatedVpc extends Construct implements RunnerNetwork {
  readonly vpc: ec2.Vpc;
  readonly subnets: ec2.ISubnet[];
  readonly securityGroups: ec2.ISecurityGroup[];
  readonly assignPublicIp = false;
  private readonly endpoints: ec2.SecurityGroup;

  private readonly interfaceHosts: readonly string[];

  constructor(scope: Construct, id: string, props: IsolatedVpcProps = {}) {
    super(scope, id);
    const vpc = newVpc(this, props, {
      natGateways: 0,
      subnetConfiguration: [{ name: "Runners", subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
    });
    this.vpc = vpc;
    this.subnets = vpc.isolatedSubnets;
    this.securityGroups = [runnerSecurityGroup(this, vpc)];
    this.endpoints = new ec2.SecurityGroup(this, "EndpointSecurityGroup", {
      vpc,
      description: "Endpoints of AWS services: HTTPS from inside the VPC",
      allowAllOutbound: false,
    });
    this.endpoints.addIngressRule(ec2.Peer.ipv4(props.cidr ?? DEFAULT_CIDR), ec2.Port.HTTPS);
    const forHandlers = props.handlerEndpoints ?? false;
    this.interfaceHosts = [...RUNNER_HOSTS, ...(forHandlers ? HANDLER_HOSTS : [])];
    const wanted = {
      ...RUNNER_ENDPOINTS,
      ...(forHandlers ? HANDLER_ENDPOINTS : {}),
    };
    for (const [name, service] of Object.entries(wanted)) {
      this.addEndpoint(name, service);
    }
  }

  get endpointHosts(): readonly string[] {
    const { region, urlSuffix } = Stack.of(this);
    const shell = this.vpc.node.tryFindChild(SHELL_ENDPOINT) === undefined ? [] : ["ssmmessages"];
    const services = [...this.interfaceHosts, ...shell];
    const hosts = services.map((service) => `${service}.${region}.${urlSuffix}`);
    return [...hosts, ...gatewayHosts(this.vpc)];
  }

  addWarmTasks(): void {
    addTableEndpoint(this.vpc);
  }

  addShell(): void {
    if (this.vpc.node.tryFindChild(SHELL_ENDPOINT) === undefined) {
      this.addEndpoint(SHELL_ENDPOINT, SERVICES.SSM_MESSAGES);
    }
  }

  private addEndpoint(name: string, service: ec2.IInterfaceVpcEndpointService): void {
    this.vpc.addInterfaceEndpoint(name, {
      service,
      securityGroups: [this.endpoints],
      subnets: { subnets: this.vpc.isolatedSubnets },
      open: false,
    });
  }
}
