import { Duration } from "aws-cdk-lib";
import * as events from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { SqsDestination } from "aws-cdk-lib/aws-lambda-destinations";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";

/** Sources and targets of the rules. */
export interface TriggersProps {
  /** Cleans up after tasks and executions. */
  readonly cleanup: lambda.Function;
  /** Repairs what events have missed. */
  readonly sweep: lambda.Function;
  /** The cluster whose tasks are meant. */
  readonly clusterArn: string;
  /** The machine whose executions are meant. */
  readonly stateMachineArn: string;
  /** Queue of events that failed permanently. */
  readonly deadLetters: sqs.IQueue;
}

/** Rules that call `cleanup` and `sweep`. */
export class Triggers extends Construct {
  constructor(scope: Construct, id: string, props: TriggersProps) {
    super(scope, id);
    const cleanup = new LambdaFunction(props.cleanup, { deadLetterQueue: props.deadLetters });
    new events.Rule(this, "TaskStopped", {
      description: "Calls cleanup when a runner's task has stopped",
      eventPattern: {
        source: ["aws.ecs"],
        detailType: ["ECS Task State Change"],
        detail: { clusterArn: [props.clusterArn], lastStatus: ["STOPPED"] },
      },
      targets: [cleanup],
    });
    new events.Rule(this, "ExecutionClosed", {
      description: "Calls cleanup when a job's execution ended without cleaning up",
      eventPattern: {
        source: ["aws.states"],
        detailType: ["Step Functions Execution Status Change"],
        detail: {
          stateMachineArn: [props.stateMachineArn],
          status: ["ABORTED", "TIMED_OUT", "FAILED"],
        },
      },
      targets: [cleanup],
    });
    new events.Rule(this, "Schedule", {
      description: "Calls the sweep every five minutes",
      schedule: events.Schedule.rate(Duration.minutes(5)),
      // The next sweep does the work of one that failed.
      targets: [new LambdaFunction(props.sweep, { retryAttempts: 0 })],
    });
    // Lambda retries a failed asynchronous invocation itself, so the rule's setting is not enough.
    props.sweep.configureAsyncInvoke({ retryAttempts: 0 });
    // `verify` and the rules call asynchronously: an event that fails three times is kept.
    props.cleanup.configureAsyncInvoke({
      retryAttempts: 2,
      maxEventAge: Duration.hours(6),
      onFailure: new SqsDestination(props.deadLetters),
    });
  }
}
