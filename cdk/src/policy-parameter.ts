import * as ssm from "aws-cdk-lib/aws-ssm";
import { Construct } from "constructs";
import { GitHubProps } from "./github-props";
import { Names } from "./names";

/**
 * Whose jobs a deployment runs, as it stands in Parameter Store. Lists are joined by spaces, as in the
 * functions' environment, so that what fits there fits a parameter.
 */
export interface PublishedPolicy {
  readonly scope: "repository" | "organization";
  readonly runnerGroup: string;
  readonly allowedOwners: string;
  readonly allowedRepositories: string;
  readonly allowPublicRepositories: boolean;
  readonly allowInternalRepositories: boolean;
}

/**
 * The parameter by which `fargate-runners setup` learns whose jobs the deployment runs, to compare that with
 * GitHub's settings. It is no secret, and no function reads it.
 */
export class PolicyParameter extends ssm.StringParameter {
  constructor(scope: Construct, id: string, names: Names, github: Required<GitHubProps>) {
    const policy: PublishedPolicy = {
      scope: github.scope,
      runnerGroup: github.runnerGroup,
      allowedOwners: github.allowedOwners.join(" "),
      allowedRepositories: github.allowedRepositories.join(" "),
      allowPublicRepositories: github.allowPublicRepositories,
      allowInternalRepositories: github.allowInternalRepositories,
    };
    super(scope, id, {
      parameterName: names.policyParameter,
      description: "Whose jobs are run, for fargate-runners setup to compare with GitHub",
      stringValue: JSON.stringify(policy),
    });
  }
}
