import { Duration } from "aws-cdk-lib";
import * as events from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { SqsDestination } from "aws-cdk-lib/aws-lambda-destinations";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";

/** What the rules connect. */
export interface TriggersProps {
  /** Cleans up after tasks and executions. */
  readonly cleanup: lambda.Function;
  /** Finds what no event told us about. */
  readonly sweep: lambda.Function;
  /** The cluster whose tasks are meant. */
  readonly clusterArn: string;
  /** The machine whose executions are meant. */
  readonly stateMachineArn: string;
  /** Where events go that nobody could handle. */
  readonly deadLetters: sqs.IQueue;
}

/** What calls `cleanup` and `sweep` besides the state machine. */
export class Triggers extends Construct {
  constructor(scope: Construct, id: string, props: TriggersProps) {
    super(scope, id);
    const cleanup = new LambdaFunction(props.cleanup, { deadLetterQueue: props.deadLetters });
    new events.Rule(this, "TaskStopped", {
      description: "A runner's task has stopped",
      eventPattern: {
        source: ["aws.ecs"],
        detailType: ["ECS Task State Change"],
        detail: { clusterArn: [props.clusterArn], lastStatus: ["STOPPED"] },
      },
      targets: [cleanup],
    });
    new events.Rule(this, "ExecutionClosed", {
      description: "A job's execution has ended without its own clean-up",
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
      description: "Looks for what no event told us about",
      schedule: events.Schedule.rate(Duration.minutes(5)),
      // A sweep that was missed is made up for by the next one.
      targets: [new LambdaFunction(props.sweep, { retryAttempts: 0 })],
    });
    // The rule only hands the event over; that a failed function isn't called again is for Lambda.
    props.sweep.configureAsyncInvoke({ retryAttempts: 0 });
    // `verify` and the rules call asynchronously: what fails three times must not vanish.
    props.cleanup.configureAsyncInvoke({
      retryAttempts: 2,
      maxEventAge: Duration.hours(6),
      onFailure: new SqsDestination(props.deadLetters),
    });
  }
}
