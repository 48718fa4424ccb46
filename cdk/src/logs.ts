import { RemovalPolicy } from "aws-cdk-lib";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";

/** Makes log groups with one retention and removal policy. */
export class Logs {
  constructor(
    private readonly retention: logs.RetentionDays,
    private readonly removalPolicy: RemovalPolicy,
  ) {}

  /** A log group with a fixed name, so that people find it. */
  group(scope: Construct, id: string, logGroupName: string): logs.LogGroup {
    return new logs.LogGroup(scope, id, {
      logGroupName,
      retention: this.retention,
      removalPolicy: this.removalPolicy,
    });
  }
}
