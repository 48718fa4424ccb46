import { Annotations, Stack, Token } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { invalidProp } from "../invalid-prop";
import { unserved, Served } from "./audience-warnings";
import { Offer } from "./host";
import { warnIfUnchangeable } from "./runner-roles";
import { Names } from "../names";

/** The role of the jobs of each repository, by `owner/name`, or `owner/*` for an owner's others. */
export type RepositoryRoles = Readonly<Record<string, iam.IRole>>;

const PROP = "repositoryRoles";
/** A repository as `launch` reads it, or all of an owner's. */
const PATTERN = /^[A-Za-z0-9_-]+\/(?!\.{1,2}$)([A-Za-z0-9._-]+|\*)$/;
/**
 * Characters that the roles may take of the 4096 of a function's environment, counting the longest name
 * for a role whose name CloudFormation gives.
 */
const LENGTH = 2400;
const LONGEST_NAME = 64;

/** Where roles for tasks are, and what the roles of repositories have to agree with. */
export interface RepositoryRolesContext extends Served {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** Path of the roles that tasks run under. */
  readonly taskPath: string;
}

/**
 * Checks the roles of repositories, and says as JSON which name belongs to which pattern.
 *
 * The function that plans a task writes a role's ARN from the path and its name, so it can name no role
 * outside of the path, and the state machine may pass none.
 */
export function repositoryRoles(
  scope: Construct,
  roles: RepositoryRoles,
  context: RepositoryRolesContext,
): string {
  const { names, taskPath } = context;
  const patterns = Object.keys(roles);
  const lower = patterns.map((pattern) => pattern.toLowerCase());
  let length = 0;
  for (const [index, pattern] of patterns.entries()) {
    const role = roles[pattern]!;
    if (!PATTERN.test(pattern)) {
      throw invalidProp(PROP, pattern, "owner/name, or owner/* for an owner's other repositories");
    }
    if (lower.indexOf(lower[index]!) !== index) {
      throw invalidProp(PROP, pattern, "each repository once, compared without case");
    }
    const path = pathOf(role);
    if (path !== taskPath) {
      throw invalidProp(
        PROP,
        path ?? `${pattern}: a role of unknown path`,
        `roles with the path '${taskPath}': no others may be passed to a task`,
      );
    }
    checkAccount(scope, pattern, role, Object.values(roles));
    warnIfUnchangeable(scope, role, names);
    const { roleName } = role;
    length += pattern.length + (Token.isUnresolved(roleName) ? LONGEST_NAME : roleName.length) + 8;
  }
  if (length > LENGTH) {
    const allowed = `${LENGTH} characters of patterns and names, about 25 roles; give the others a runner with repositories and taskRole`;
    throw invalidProp(PROP, `${length} characters`, allowed);
  }
  for (const { id, message } of warnings(roles, context)) {
    Annotations.of(scope).addWarningV2(`fargate-runners:${id}`, message);
  }
  return Stack.of(scope).toJsonString(
    Object.fromEntries(patterns.map((pattern) => [pattern, roles[pattern]!.roleName])),
  );
}

/**
 * A task gets roles of its own account alone, and `launch` knows them by name: of another account's it would
 * name one of this account's that is called the same.
 */
function checkAccount(
  scope: Construct,
  pattern: string,
  role: iam.IRole,
  all: readonly iam.IRole[],
): void {
  const known = [Stack.of(scope).account, ...all.map(({ env }) => env.account)];
  const own = known.find((account) => !Token.isUnresolved(account));
  const { account } = role.env;
  if (own !== undefined && !Token.isUnresolved(account) && account !== own) {
    throw invalidProp(
      PROP,
      `${pattern}: a role of account ${account}`,
      `roles of the deployment's account, ${own}: ECS gives no other to a task`,
    );
  }
}

/** What is open about the roles. */
function warnings(roles: RepositoryRoles, served: Served): { id: string; message: string }[] {
  const patterns = Object.keys(roles);
  const found = patterns
    .filter((pattern) => pattern.endsWith("/*"))
    .flatMap((all) => {
      const owner = all.slice(0, -1).toLowerCase();
      const own = patterns.filter(
        (pattern) => pattern !== all && pattern.toLowerCase().startsWith(owner),
      );
      return own.length === 0 ? [] : [{ all, own }];
    })
    .map(({ all, own }) => ({
      id: "overlapping-roles",
      message:
        `repositoryRoles has ${all} and ${own.join(", ")}: jobs of the latter run under their own ` +
        `role alone, and not under that of ${all}.`,
    }));
  const strangers = unserved(patterns, served);
  if (strangers.length > 0) {
    found.push({
      id: "unserved-role",
      message:
        `repositoryRoles is for ${strangers.join(", ")}, of which this deployment serves no job: ` +
        `neither allowedOwners nor allowedRepositories admits one.`,
    });
  }
  return found;
}

/**
 * Refuses an offer whose runners could give a repository's role to another repository. GitHub gives a
 * runner that registers at the organization any job that its runner group admits. So there it needs a group
 * of its own, and all repositories that it is for have to share one role.
 */
export function checkRolesOf(
  { family, repositories, runnerGroup }: Offer,
  roles: RepositoryRoles,
  scope: Served["scope"],
): void {
  if (scope !== "organization" || Object.keys(roles).length === 0) {
    return;
  }
  const at = new Map(Object.entries(roles).map(([key, role]) => [key.toLowerCase(), role]));
  const rolesOf = (pattern: string): (iam.IRole | undefined)[] => {
    const key = pattern.toLowerCase();
    const owner = `${key.split("/")[0]}/`;
    const all = at.get(`${owner}*`);
    return key === `${owner}*`
      ? [all, ...[...at.keys()].filter((one) => one.startsWith(owner)).map((one) => at.get(one))]
      : [at.get(key) ?? all];
  };
  const reached = repositories?.flatMap(rolesOf) ?? [...at.values(), undefined];
  if (reached.every((role) => role === undefined)) {
    return;
  }
  if (runnerGroup === undefined || new Set(reached).size > 1) {
    throw invalidProp(
      PROP,
      family,
      "at organization scope only runners with a runnerGroup of their own and with repositories that " +
        "share one role, because GitHub may give a runner any job that its group admits",
    );
  }
}

/** The path of a role, where it is known at synthesis. */
function pathOf(role: iam.IRole): string | undefined {
  const resource = role.node.defaultChild;
  if (resource instanceof iam.CfnRole) {
    return resource.path ?? "/";
  }
  if (Token.isUnresolved(role.roleArn)) {
    return undefined;
  }
  return /:role(\/(?:.*\/)?)[^/]+$/.exec(role.roleArn)?.[1];
}
