import { ArnFormat, Duration, Stack } from "aws-cdk-lib";
import * as autoscaling from "aws-cdk-lib/aws-autoscaling";
import * as events from "aws-cdk-lib/aws-events";
import { SfnStateMachine } from "aws-cdk-lib/aws-events-targets";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { readFileSync } from "node:fs";
import { acknowledge } from "../acknowledge";
import { allow, give } from "../permission";
import { repositoryFile } from "../repository-files";
import { RunnerHost } from "./host";

/** What recycling needs to know. */
export interface RecyclingProps {
  /** The deployment that the instances belong to. */
  readonly runners: RunnerHost;
  /** What the capacity's name ends with. */
  readonly name: string;
  /** Name of the capacity provider. */
  readonly capacityProvider: string;
  /** The instances. */
  readonly autoScalingGroup: autoscaling.AutoScalingGroup;
}

/**
 * Replaces each instance after its one job.
 *
 * A state machine of its own does it, with calls of AWS only: the functions, some of which hold the
 * App's key, get no right to terminate instances. The instance itself can't be asked to do it, since
 * who broke out of a privileged container commands it.
 */
export class Recycling extends Construct {
  /** The machine. */
  readonly stateMachine: sfn.StateMachine;

  constructor(scope: Construct, id: string, props: RecyclingProps) {
    super(scope, id);
    const { runners, capacityProvider, autoScalingGroup } = props;
    const { names, roles } = runners;
    const role = roles.service(
      this,
      "Role",
      "states.amazonaws.com",
      "Drains instances that have a task, and terminates them after it",
    );
    const inCluster = { ArnEquals: { "ecs:cluster": names.clusterArn } };
    const group = Stack.of(this).formatArn({
      service: "autoscaling",
      resource: "autoScalingGroup",
      resourceName: `*:autoScalingGroupName/${autoScalingGroup.autoScalingGroupName}`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    give(role, [
      allow(
        ["ecs:DescribeContainerInstances", "ecs:UpdateContainerInstancesState"],
        [names.containerInstanceArns],
        {
          conditions: inCluster,
          wildcard: "ECS names instances itself; all of this cluster's are these.",
        },
      ),
      allow(["ecs:ListContainerInstances"], [names.clusterArn]),
      allow(["autoscaling:TerminateInstanceInAutoScalingGroup"], [group], {
        wildcard: "AWS puts an id of its own before the group's name.",
      }),
    ]);
    this.stateMachine = new sfn.StateMachine(this, "StateMachine", {
      stateMachineType: sfn.StateMachineType.STANDARD,
      definitionBody: sfn.DefinitionBody.fromString(
        readFileSync(repositoryFile("statemachine", "recycle.asl.json"), "utf8"),
      ),
      definitionSubstitutions: {
        Cluster: runners.cluster.clusterName,
        CapacityProvider: capacityProvider,
      },
      role,
    });
    acknowledge(this.stateMachine, {
      "AwsSolutions-SF1": "An execution's history shows each step, and an alarm those that fail.",
      "AwsSolutions-SF2": "An execution's history shows each step.",
    });
    const starts = roles.service(
      this,
      "EventsRole",
      "events.amazonaws.com",
      "Tells the machine that recycles instances about their tasks",
    );
    const target = new SfnStateMachine(this.stateMachine, { role: starts });
    new events.Rule(this, "Tasks", {
      description: "Has an instance drained when it gets a task, and terminated after it",
      eventPattern: {
        source: ["aws.ecs"],
        detailType: ["ECS Task State Change"],
        detail: {
          clusterArn: [runners.cluster.clusterArn],
          // Twice before it ends: one of the two events may be lost.
          lastStatus: ["PENDING", "RUNNING", "STOPPED"],
          // Tasks on Fargate have no instance.
          containerInstanceArn: [{ exists: true }],
        },
      },
      targets: [target],
    });
    new events.Rule(this, "Schedule", {
      description: "Has instances terminated of which no event told that their task ended",
      schedule: events.Schedule.rate(Duration.hours(1)),
      targets: [target],
    });
    runners.addRecycling(props.name, this.stateMachine);
  }
}
