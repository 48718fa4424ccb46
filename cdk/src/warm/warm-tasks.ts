import { Duration, Lazy, RemovalPolicy } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as events from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { acknowledge } from "../acknowledge";
import { invalidProp } from "../invalid-prop";
import { Names } from "../names";
import { give } from "../permission";
import { passRole } from "../run-tasks";
import { Pool } from "./pool";

/** Lambda's limit for all variables of a function: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const VARIABLES_BYTES = 4096;
/** What the other variables of the keeper may take: the longest names, six subnets, five groups. */
const OTHERS_BYTES = 1024;

/**
 * Stock of warm tasks: the table of what is ready, and the rules by which its keeper learns of it.
 *
 * The table is no truth: whatever of it is lost, jobs start cold and the keeper fills it again. The
 * leases of caps are in it too, and the jobs to run again after an interruption, so a deployment that
 * only has those has the table alone.
 */
export class WarmTasks extends Construct {
  /** The table. */
  readonly table: dynamodb.Table;

  private readonly pools: Pool[] = [];
  private stock?: lambda.Function;

  constructor(
    scope: Construct,
    id: string,
    private readonly names: Names,
  ) {
    super(scope, id);
    this.table = new dynamodb.Table(this, "Table", {
      tableName: names.stockTable,
      partitionKey: { name: "pk", type: dynamodb.AttributeType.STRING },
      sortKey: { name: "sk", type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      timeToLiveAttribute: "expires",
      // At rest every table is encrypted; this key of AWS's costs nothing per call.
      encryption: dynamodb.TableEncryption.DEFAULT,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    acknowledge(this.table, {
      "AwsSolutions-DDB3":
        "Nothing in it is worth restoring: an item names a task that is gone by then.",
    });
  }

  /** Whether something keeps the stock. */
  get isKept(): boolean {
    return this.stock !== undefined;
  }

  /** Has a function keep the stock. */
  keep(stock: lambda.Function): void {
    const { names } = this;
    this.stock = stock;
    stock.addEnvironment("STOCK", Lazy.string({ produce: () => JSON.stringify(this.pools) }));
    // The next tick does the work of a call that fails.
    stock.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(5) });
    const target = new LambdaFunction(stock, { retryAttempts: 0 });
    new events.Rule(this, "Schedule", {
      description: "Calls the keeper of warm tasks every minute",
      schedule: events.Schedule.rate(Duration.minutes(1)),
      targets: [target],
    });
    new events.Rule(this, "TaskChanged", {
      description: "Calls the keeper when a task of the stock runs or has stopped",
      eventPattern: {
        source: ["aws.ecs"],
        detailType: ["ECS Task State Change"],
        detail: {
          clusterArn: [names.clusterArn],
          group: [names.warmGroup],
          lastStatus: ["RUNNING", "STOPPED"],
        },
      },
      targets: [target],
    });
  }

  /** Allows the keeper to pass a role that is not under our path. */
  allowPassing(role: iam.IRole): void {
    give(this.stock!.role!, [passRole(role.roleArn)]);
  }

  /** Keeps tasks of another family. */
  add(pool: Pool): void {
    this.pools.push(pool);
    const bytes = Buffer.byteLength(JSON.stringify(this.pools));
    const most = VARIABLES_BYTES - OTHERS_BYTES;
    if (bytes > most) {
      throw invalidProp(
        "warm",
        `${bytes} bytes for ${this.pools.length} runners`,
        `${most} bytes for all runners together, because Lambda holds ${VARIABLES_BYTES} bytes of ` +
          "variables; give fewer runners warm tasks, or shorter schedules",
      );
    }
  }
}
