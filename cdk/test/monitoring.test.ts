import { Match, Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FargateRunner, METRICS, NAMESPACE } from "../src";
import { repositoryFile } from "../src/repository-files";
import { deployment, IMAGE, templateOf } from "./support";

interface Emitted {
  readonly name: string;
  readonly unit: string;
  readonly dimensions: string[];
}

const EMITTED = JSON.parse(
  readFileSync(repositoryFile("crates", "runtime", "metrics.json"), "utf8"),
) as Emitted[];

const TEMPLATE = templateOf();
/** Of a deployment with warm tasks of two runners. */
const WARM = (() => {
  const { stack, runners } = deployment({ defaultRunner: { warm: { size: 1 } } });
  new FargateRunner(stack, "Big", { runners, name: "big", image: IMAGE, warm: { size: 1 } });
  return Template.fromStack(stack);
})();

/** The dashboard's JSON, with tokens as text. */
function dashboard(template: Template): { widgets: { properties: Widget }[] } {
  const [found] = Object.values(template.findResources("AWS::CloudWatch::Dashboard"));
  const body = found!.Properties.DashboardBody as { "Fn::Join": [string, unknown[]] };
  const text = body["Fn::Join"][1].map((part) => (typeof part === "string" ? part : "token"));
  return JSON.parse(text.join(""));
}

interface Widget {
  readonly title?: string;
  readonly metrics?: unknown[][];
}

test("the handlers' metrics are those that the telemetry crate lists, alike in unit and dimension", () => {
  const ours = Object.entries(METRICS).map(([name, metric]) => ({
    name,
    unit: metric.unit as string,
    dimensions: "dimension" in metric ? [metric.dimension] : [],
  }));
  const theirs = EMITTED.map(({ name, unit, dimensions }) => ({ name, unit, dimensions }));
  const byName = (a: Emitted, b: Emitted) => a.name.localeCompare(b.name);
  assert.deepEqual(ours.sort(byName), theirs.sort(byName));
});

test("every alarm watches a metric that somebody emits", () => {
  const names = new Set(EMITTED.map(({ name }) => name));
  const alarms = Object.values(TEMPLATE.findResources("AWS::CloudWatch::Alarm"));
  const ours = alarms.filter(({ Properties }) => Properties.Namespace === NAMESPACE);
  assert.equal(alarms.length, 13);
  assert.equal(ours.length, 8);
  for (const { Properties } of ours) {
    assert.ok(names.has(Properties.MetricName), `${Properties.MetricName} is emitted by nobody`);
    // A metric that is split has no series without its dimension: such an alarm would stay silent.
    assert.deepEqual(Properties.Dimensions, [{ Name: "Deployment", Value: "fr" }]);
  }
  const others = alarms.filter(({ Properties }) => Properties.Namespace !== NAMESPACE);
  assert.deepEqual(others.flatMap(({ Properties }) => Properties.MetricName ?? []).sort(), [
    "ApproximateNumberOfMessagesVisible",
    "Errors",
    "Throttles",
    "Url5xxCount",
  ]);
});

test("doctor knows every alarm, and so what mends it", () => {
  const known = readFileSync(repositoryFile("cli", "src", "doctor", "alarms.rs"), "utf8");
  const alarms = Object.values(WARM.findResources("AWS::CloudWatch::Alarm"));
  const names = alarms.map(({ Properties }) => Properties.AlarmName as string);
  assert.ok(names.includes("fargate-runners-stock-empty-big"), names.join());
  for (const name of names) {
    const own = name.replace("fargate-runners-", "").replace(/^(stock-empty-).*/, "$1");
    assert.ok(known.includes(`"${own}"`), `${name} is not in cli/src/doctor/alarms.rs`);
  }
});

test("unsigned requests ring only where no webhook is taken, since anybody can send them", () => {
  const alarms = TEMPLATE.findResources("AWS::CloudWatch::Alarm", {
    Properties: { AlarmName: "fargate-runners-webhooks-unsigned" },
  });
  const metrics = Object.values(alarms)[0]!.Properties.Metrics as {
    Expression?: string;
    Id: string;
    MetricStat?: { Metric: { Namespace: string; MetricName: string }; Period: number };
  }[];
  const [expression, ...inputs] = metrics;
  assert.equal(expression!.Expression, "IF(taken == 0, unsigned, 0)");
  assert.deepEqual(
    inputs.map(({ Id, MetricStat }) => [Id, MetricStat!.Metric.MetricName, MetricStat!.Period]),
    [
      ["unsigned", "WebhooksUnsigned", 900],
      ["taken", "WebhooksTaken", 900],
    ],
  );
  const { Threshold: threshold } = Object.values(alarms)[0]!.Properties as { Threshold: number };
  // What `verify` emits in a quarter of an hour, and what has no value without it.
  for (const [what, emitted, rings] of [
    ["nothing", {}, false],
    ["GitHub's webhooks alone", { taken: 400 }, false],
    ["a wrong secret from the start", { taken: 0, unsigned: 12 }, true],
    ["a wrong secret, and few jobs", { taken: 0, unsigned: 9 }, false],
    ["strangers while GitHub sends webhooks", { taken: 1, unsigned: 5000 }, false],
    ["strangers while GitHub sends nothing", { taken: 0, unsigned: 5000 }, true],
    // Lambda also invokes `verify` for its queue; the alarm does not hear of it.
    ["a wrong secret, while the queue is worked off", { taken: 0, unsigned: 12 }, true],
    // `webhooks-unusable` rings, too, and says what this alarm can't.
    ["executions that can't be started, beside strangers", { taken: 0, unsigned: 12 }, true],
  ] as [string, { taken?: number; unsigned?: number }, boolean][]) {
    const { taken, unsigned } = emitted;
    const value: number | undefined =
      taken === undefined || unsigned === undefined
        ? undefined
        : evaluate(expression!.Expression!, { taken, unsigned });
    assert.equal(value !== undefined && value >= threshold, rings, what);
  }
  TEMPLATE.hasResourceProperties("AWS::CloudWatch::Alarm", {
    AlarmName: "fargate-runners-webhooks-unusable",
    MetricName: "WebhooksUnusable",
    Threshold: 1,
  });
});

/** The metrics that the dashboard's widgets show, each as it is emitted. */
function shownBy(template: Template): string[] {
  const shown = new Set<string>();
  for (const { properties } of dashboard(template).widgets) {
    for (const metric of properties.metrics ?? []) {
      const text = JSON.stringify(metric);
      const search = /MetricName=\\+"(\w+)\\+"/.exec(text);
      if (metric[0] === NAMESPACE) {
        const name = metric[1] as string;
        const emitted = EMITTED.find((candidate) => candidate.name === name);
        assert.ok(emitted, `${name} is emitted by nobody`);
        assert.deepEqual(emitted.dimensions, [], `${name} is split`);
        shown.add(name);
      } else if (search !== null) {
        const emitted = EMITTED.find((candidate) => candidate.name === search[1]);
        assert.ok(emitted, `${search[1]} is emitted by nobody`);
        assert.ok(text.includes(`{${NAMESPACE},Deployment,${emitted.dimensions[0]}}`));
        shown.add(emitted.name);
      }
    }
  }
  return [...shown].sort();
}

test("every widget shows metrics that somebody emits, split as they are emitted", () => {
  const about = ({ dimensions }: Emitted) =>
    dimensions.includes("Family") || dimensions.includes("Start");
  const ofCaps = ["SlotsAwaited", "SlotsTaken"];
  const uncapped = EMITTED.filter(({ name }) => !ofCaps.includes(name));
  const others = uncapped.filter((metric) => !about(metric)).map(({ name }) => name);
  assert.deepEqual(shownBy(TEMPLATE), others.sort());
  assert.deepEqual(shownBy(WARM), uncapped.map(({ name }) => name).sort());
  assert.deepEqual(shownBy(templateOf({ maxRunning: 1 })), [...others, ...ofCaps].sort());
});

test("an alarm rings where a family's stock stays empty although it is wanted", () => {
  const alarms = Object.values(WARM.findResources("AWS::CloudWatch::Alarm"));
  const names = alarms.map(({ Properties }) => Properties.AlarmName as string);
  const added = names.filter((name) => name.includes("stock")).sort();
  assert.deepEqual(added, [
    "fargate-runners-stock-empty-big",
    "fargate-runners-stock-empty-ubuntu-x64",
    "fargate-runners-stock-fails",
  ]);
  const empty = alarms.find(({ Properties }) => Properties.AlarmName === added[0])!;
  const [expression, ...inputs] = empty.Properties.Metrics as {
    Expression?: string;
    MetricStat?: { Metric: { Dimensions: object[]; MetricName: string }; Stat: string };
  }[];
  assert.equal(expression!.Expression, "IF(wanted >= 1 AND ready < 1, 1, 0)");
  assert.deepEqual(
    inputs.map(({ MetricStat }) => [MetricStat!.Metric.MetricName, MetricStat!.Stat]),
    [
      ["StockWanted", "Minimum"],
      ["StockReady", "Maximum"],
    ],
  );
  for (const { MetricStat } of inputs) {
    assert.deepEqual(MetricStat!.Metric.Dimensions, [
      { Name: "Deployment", Value: "fr" },
      { Name: "Family", Value: "fargate-runners-big" },
    ]);
  }
  const [widget] = dashboard(WARM).widgets;
  assert.equal((widget!.properties as { alarms?: unknown[] }).alarms!.length, alarms.length);
});

test("the queries of all functions read the keeper's log too", () => {
  const queries = Object.values(WARM.findResources("AWS::Logs::QueryDefinition"));
  const reading = queries.filter(({ Properties }) =>
    (Properties.LogGroupNames as { Ref: string }[]).some(({ Ref }) => /StockLog/.test(Ref)),
  );
  assert.equal(reading.length, 3);
});

test("saved queries ask for metrics that somebody emits", () => {
  const names = new Set(EMITTED.map(({ name }) => name));
  const queries = Object.values(TEMPLATE.findResources("AWS::Logs::QueryDefinition"));
  const asked = queries.flatMap(({ Properties }) =>
    [...String(Properties.QueryString).matchAll(/ispresent\(([A-Z]\w+)\)/g)].map(
      ([, name]) => name!,
    ),
  );
  assert.deepEqual(asked.sort(), ["EstimatedCost", "Outcomes", "QueuedToStartedSeconds"]);
  assert.deepEqual(
    asked.filter((name) => !names.has(name)),
    [],
  );
});

test("an alarm that nothing feeds is quiet", () => {
  for (const { Properties } of Object.values(TEMPLATE.findResources("AWS::CloudWatch::Alarm"))) {
    assert.equal(Properties.TreatMissingData, "notBreaching");
  }
});

test("dead letters come from the queue, from the rules and from cleanup's own failures", () => {
  const dead = { "Fn::GetAtt": [Match.stringLikeRegexp("DeadLetters"), "Arn"] };
  TEMPLATE.hasResourceProperties("AWS::SQS::Queue", {
    RedrivePolicy: { deadLetterTargetArn: dead },
  });
  TEMPLATE.resourcePropertiesCountIs(
    "AWS::Events::Rule",
    { Targets: [Match.objectLike({ DeadLetterConfig: { Arn: dead } })] },
    2,
  );
  TEMPLATE.hasResourceProperties("AWS::Lambda::EventInvokeConfig", {
    DestinationConfig: { OnFailure: { Destination: dead } },
  });
});

test("what verify could not start stays in its queue", () => {
  TEMPLATE.hasResourceProperties("AWS::Lambda::EventSourceMapping", {
    FunctionResponseTypes: ["ReportBatchItemFailures"],
  });
});

test("execution logging tells every event and no data", () => {
  TEMPLATE.hasResourceProperties("AWS::StepFunctions::StateMachine", {
    LoggingConfiguration: { Level: "ALL", IncludeExecutionData: false },
  });
});

test("two deployments' metrics stay apart", () => {
  const { runners } = deployment({ deployment: "other" });
  assert.equal(runners.names.deployment, "other");
  const text = JSON.stringify(templateOf({ deployment: "other" }).toJSON());
  assert.ok(!text.includes('{"Name":"Deployment","Value":"fr"}'));
});

/** The value of a CloudWatch expression of IF, comparisons and numbers. */
function evaluate(expression: string, values: Record<string, number>): number {
  const IF = (condition: boolean, then: number, otherwise: number) =>
    condition ? then : otherwise;
  const names = Object.keys(values);
  const compute = new Function("IF", ...names, `return ${expression};`) as (
    ...given: unknown[]
  ) => number;
  return compute(IF, ...names.map((name) => values[name]));
}
