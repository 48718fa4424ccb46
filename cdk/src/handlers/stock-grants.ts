import { Names, TAG_PREFIX } from "../names";
import { allow, deny, denyAllBut, Permission } from "../permission";
import { runTasks } from "../run-tasks";
import { HandlerContext } from "./handler-spec";

/** What the first part of an item's key says about it; the handlers spell the keys alike. */
const KINDS = {
  family: "families",
  ticket: "stock#*",
  share: "share#*",
  bell: "bell#*",
  wait: "wait",
  note: "job#*",
  slots: "slots",
  rerun: "reruns",
  taken: "taken#*",
} as const;

const KEYS = "dynamodb:LeadingKeys";
const TASKS = "ECS names tasks itself; all of this cluster's are runners.";

/** Allows calls on items of one kind in the stock's table, and on no others. */
function items(names: Names, kind: keyof typeof KINDS, actions: readonly string[]): Permission {
  const key = KINDS[kind];
  const operator = key.endsWith("*") ? "ForAllValues:StringLike" : "ForAllValues:StringEquals";
  return allow(calls(actions), [names.stockTableArn], {
    // A condition on all values also holds where there is none.
    conditions: { [operator]: { [KEYS]: [key] }, Null: { [KEYS]: "false" } },
  });
}

const calls = (names: readonly string[]) => names.map((name) => `dynamodb:${name}`);

/** What the agent in a warm task may call: look at its bell, and answer it. */
export function answerBell(names: Names): Permission[] {
  return [items(names, "bell", ONE_ITEM)];
}

/**
 * What no job may do with the stock's table, whatever its role is allowed besides: with the right to
 * list bells it could take another job's registration. Roles without warm tasks have them too,
 * because two runners may share one.
 */
export function stockDenials(names: Names): Permission[] {
  const everything = [names.stockTableArn, `${names.stockTableArn}/*`];
  return [
    denyAllBut(calls(ONE_ITEM), everything),
    deny(calls(ONE_ITEM), [names.stockTableArn], {
      "ForAnyValue:StringNotLike": { [KEYS]: [KINDS.bell] },
    }),
  ];
}

/** The calls that the agent makes; each names the key of one item. */
const ONE_ITEM = ["GetItem", "UpdateItem"];

/** Lets `token` claim tickets, ring bells, and mark or stop the task that it has claimed. */
export function claimTasks({ names }: HandlerContext): Permission[] {
  return [
    items(names, "ticket", ["Query", "DeleteItem"]),
    items(names, "share", ["UpdateItem"]),
    items(names, "bell", ["PutItem", "GetItem", "UpdateItem"]),
    allow(["ecs:TagResource"], [names.taskArns], {
      conditions: {
        "ForAllValues:StringLike": { "aws:TagKeys": [`${TAG_PREFIX}:*`] },
        Null: { "aws:TagKeys": "false" },
      },
      wildcard: TASKS,
    }),
    allow(["ecs:StopTask"], [names.taskArns], {
      conditions: { ArnEquals: { "ecs:cluster": names.clusterArn } },
      wildcard: TASKS,
    }),
    allow(["lambda:InvokeFunction"], [names.functionArn("stock")]),
  ];
}

/** Lets `verify` note that a job has ended. */
export function noteJobs({ names }: HandlerContext): Permission[] {
  return [items(names, "note", ["PutItem"])];
}

/** Lets `cleanup` read such a note instead of asking GitHub, and do what `endWaits` allows. */
export function endJobs(context: HandlerContext): Permission[] {
  return [items(context.names, "note", ["GetItem"]), ...endWaits(context)];
}

/** Lets a function tell the state machine that an adopted task has ended. */
export function endWaits({ names }: HandlerContext): Permission[] {
  return [
    items(names, "wait", ["GetItem", "UpdateItem"]),
    allow(["states:SendTaskSuccess", "states:SendTaskFailure"], [names.stateMachineArn]),
  ];
}

/** Lets `sweep` find waits whose end nobody reported, and tasks that no ticket knows. */
export function repairStock(context: HandlerContext): Permission[] {
  const { names } = context;
  return [
    ...endWaits(context),
    items(names, "wait", ["Query", "DeleteItem"]),
    items(names, "ticket", ["GetItem", "Query"]),
    items(names, "bell", ["GetItem", "PutItem"]),
  ];
}

/** Lets the keeper fill the stock and take from it what is too old. */
export function keepStock(context: HandlerContext): Permission[] {
  const { names } = context;
  const { run, tag, pass } = runTasks(context);
  return [
    items(names, "ticket", ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]),
    items(names, "family", ["Query", "PutItem", "DeleteItem"]),
    items(names, "bell", ["PutItem"]),
    allow(["ecs:DescribeTasks"], [names.taskArns], {
      conditions: { ArnEquals: { "ecs:cluster": names.clusterArn } },
      wildcard: TASKS,
    }),
    allow(["ecs:DescribeTaskDefinition"], ["*"], {
      wildcard: "The call can't be limited to a resource.",
    }),
    run,
    tag,
    pass,
  ];
}

/** Lets a function take slots, give them back and repair them: one item. */
export function shareSlots({ names }: HandlerContext): Permission[] {
  return [items(names, "slots", ["GetItem", "PutItem", "UpdateItem"])];
}

/** Lets `sweep` repair the slots. */
export function repairSlots({ names }: HandlerContext): Permission[] {
  return [items(names, "slots", ["GetItem", "PutItem"])];
}

/** Lets `cleanup` note that a job was interrupted, and which job a runner took instead of its own. */
export function noteLostJobs({ names }: HandlerContext): Permission[] {
  return [items(names, "rerun", ["PutItem"]), items(names, "taken", ["PutItem", "GetItem"])];
}

/** Lets `sweep` find such notes and forget them. */
export function rerunLostJobs({ names }: HandlerContext): Permission[] {
  return [items(names, "rerun", ["Query", "DeleteItem"])];
}

/** How the state machine's role writes that an execution waits for a task's end. */
export function writeWaits(names: Names): Permission[] {
  return [items(names, "wait", ["PutItem"])];
}
