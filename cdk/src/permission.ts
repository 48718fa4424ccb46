import * as iam from "aws-cdk-lib/aws-iam";
import { acknowledgeWildcard } from "./acknowledge";

/** Something that a role may or may never do, with the reason where it can't be narrowed to one resource. */
export interface Permission {
  /** What is allowed or denied. */
  readonly statement: iam.PolicyStatement;
  /**
   * Why a resource of the statement holds a wildcard.
   * @default - none does
   */
  readonly wildcard?: string;
}

/** What narrows or explains a permission. */
export interface PermissionOptions {
  /**
   * Under which conditions.
   * @default - always
   */
  readonly conditions?: Record<string, unknown>;
  /**
   * Why a resource holds a wildcard.
   * @default - none does
   */
  readonly wildcard?: string;
}

/** Allows actions on resources. */
export function allow(
  actions: string[],
  resources: string[],
  options: PermissionOptions = {},
): Permission {
  const { conditions, wildcard } = options;
  return { statement: new iam.PolicyStatement({ actions, resources, conditions }), wildcard };
}

/** Denies actions on resources, whatever else a role is allowed. */
export function deny(
  actions: string[],
  resources: string[],
  conditions?: Record<string, unknown>,
): Permission {
  const effect = iam.Effect.DENY;
  return { statement: new iam.PolicyStatement({ effect, actions, resources, conditions }) };
}

/** Denies everything on resources but some actions, whatever else a role is allowed. */
export function denyAllBut(notActions: string[], resources: string[]): Permission {
  const effect = iam.Effect.DENY;
  return { statement: new iam.PolicyStatement({ effect, notActions, resources }) };
}

/** Gives a role permissions, and the reasons to whoever checks its policy. */
export function give(role: iam.IRole, permissions: readonly Permission[]): void {
  for (const { statement, wildcard } of permissions) {
    role.addToPrincipalPolicy(statement);
    for (const resource of wildcard === undefined ? [] : statement.resources) {
      acknowledgeWildcard(role, resource, wildcard!);
    }
  }
}
