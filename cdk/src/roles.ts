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
      assumedBy: new iam.ServicePrincipal(service),
      description,
      path,
      permissionsBoundary: this.props.permissionsBoundary,
    });
  }
}
