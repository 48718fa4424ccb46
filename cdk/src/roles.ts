import { ArnFormat, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { invalidProp } from "./invalid-prop";

/** How every role of a deployment is made. */
export interface RolesProps {
  /** Path of all roles. */
  readonly path: string;
  /**
   * Boundary of all roles.
   * @default - none
   */
  readonly permissionsBoundary?: iam.IManagedPolicy;
}

/** Makes roles under one path and, where asked for, within one boundary. */
export class Roles {
  /** Path of the roles that tasks run under: the only ones that the state machine may pass. */
  readonly taskPath: string;

  constructor(private readonly props: RolesProps) {
    if (!/^\/([\w+=,.@-]+\/)*$/.test(props.path) || props.path.length > 500) {
      throw invalidProp("rolePath", props.path, "a path that begins and ends with '/'");
    }
    this.taskPath = `${props.path}tasks/`;
  }

  /** A role for a service of AWS. */
  service(scope: Construct, id: string, service: string, description: string): iam.Role {
    return this.role(scope, id, service, description, this.props.path);
  }

  /** A role that ECS gives to a task, or uses to start it. */
  task(scope: Construct, id: string, description: string): iam.Role {
    return this.role(scope, id, "ecs-tasks.amazonaws.com", description, this.taskPath);
  }

  private role(
    scope: Construct,
    id: string,
    service: string,
    description: string,
    path: string,
  ): iam.Role {
    return new iam.Role(scope, id, {
      assumedBy: new iam.ServicePrincipal(service, {
        conditions: sourceConditions(scope, service),
      }),
      description,
      path,
      permissionsBoundary: this.props.permissionsBoundary,
    });
  }
}

/**
 * For whose resources a service may assume a role: this account's alone, so that nobody makes the
 * service use it for theirs. EC2 sends neither key when it hands a role to an instance.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
 */
function sourceConditions(scope: Construct, service: string): Record<string, unknown> | undefined {
  const source = SOURCES[service];
  if (source === undefined) {
    return undefined;
  }
  const stack = Stack.of(scope);
  const account = { StringEquals: { "aws:SourceAccount": stack.account } };
  if (source === "account") {
    return account;
  }
  const [name, resource] = source;
  const arnFormat = ArnFormat.NO_RESOURCE_NAME;
  const arn = stack.formatArn({ service: name, resource, arnFormat });
  return { ...account, ArnLike: { "aws:SourceArn": arn } };
}

/** The resources for which each service assumes roles; as narrow as the service documents. */
const SOURCES: Readonly<Record<string, "account" | readonly [service: string, resource: string]>> =
  {
    // https://docs.aws.amazon.com/lambda/latest/dg/permissions-managed-policies.html
    "lambda.amazonaws.com": "account",
    // https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
    "states.amazonaws.com": ["states", "stateMachine:*"],
    // A cluster can't be named: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    "ecs-tasks.amazonaws.com": ["ecs", "*"],
    "events.amazonaws.com": ["events", "rule/*"],
    "codebuild.amazonaws.com": ["codebuild", "project/*"],
  };
