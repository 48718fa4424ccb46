import { Stack, Validations } from "aws-cdk-lib";
import { IConstruct } from "constructs";

/**
 * Acknowledges findings of cdk-nag's AwsSolutions pack, each with its reason.
 *
 * @param findings the rule, with the finding in brackets where a rule has several, to the reason
 */
export function acknowledge(construct: IConstruct, findings: Record<string, string>): void {
  Validations.of(construct).acknowledge(
    ...Object.entries(findings).map(([id, reason]) => ({ id, reason })),
  );
}

/** Acknowledges a wildcard in a policy of a construct, with its reason. */
export function acknowledgeWildcard(construct: IConstruct, arn: string, reason: string): void {
  const flat = flatten(Stack.of(construct).resolve(arn));
  acknowledge(construct, { [`AwsSolutions-IAM5[Resource::${flat}]`]: reason });
}

/** An ARN in one piece, its references in angle brackets: how cdk-nag spells a finding. */
function flatten(value: unknown): string {
  if (typeof value === "string") {
    return value.replace(/\$\{/g, "<").replace(/\}/g, ">");
  }
  const node = value as Record<string, unknown>;
  if ("Fn::Join" in node) {
    const [delimiter, parts] = node["Fn::Join"] as [string, unknown[]];
    return parts.map(flatten).join(delimiter);
  }
  if ("Fn::GetAtt" in node) {
    return `<${(node["Fn::GetAtt"] as string[]).join(".")}>`;
  }
  return `<${String(node.Ref)}>`;
}
