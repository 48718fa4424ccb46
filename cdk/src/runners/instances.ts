import { invalidProp } from "../invalid-prop";
import { Names } from "../names";
import { allow, Permission } from "../permission";
import { RunnerHost } from "./host";

/** Whether an instance runs one job at a time, or as many as fit. */
export type Isolation = "instance" | "shared";

/** What the names of capacity providers end with, by deployment and kind. */
const NAMES_OF = new WeakMap<RunnerHost, Set<string>>();

/** Checks what a capacity provider's name ends with, which no other of its kind has, and notes it. */
export function takeName(runners: RunnerHost, kind: string, name: string): string {
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(name)) {
    throw invalidProp("name", name, "1 to 100 letters, digits, '-' and '_'");
  }
  const names = NAMES_OF.get(runners) ?? new Set();
  const own = `${kind}/${name}`;
  if (names.has(own)) {
    throw invalidProp("name", name, `a name that no other ${kind} of this deployment has`);
  }
  NAMES_OF.set(runners, names.add(own));
  return name;
}

/**
 * What an instance needs, without what the tasks' execution roles do: pulling images and writing logs.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/instance_IAM_role.html
 *
 * @param more what else it sends about itself
 */
export function instancePermissions(names: Names, more: readonly string[] = []): Permission[] {
  return [
    allow(
      [
        "ecs:RegisterContainerInstance",
        "ecs:DeregisterContainerInstance",
        "ecs:SubmitAttachmentStateChanges",
        "ecs:SubmitContainerStateChange",
        "ecs:SubmitTaskStateChange",
      ],
      [names.clusterArn],
    ),
    allow(["ecs:Poll", "ecs:StartTelemetrySession", ...more], [names.containerInstanceArns], {
      wildcard: "ECS names instances itself; all of this cluster's are these.",
    }),
    allow(["ecs:DiscoverPollEndpoint"], ["*"], {
      wildcard: "The call that finds ECS can't be limited to a resource.",
    }),
  ];
}
