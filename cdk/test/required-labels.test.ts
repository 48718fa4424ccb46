import { App, Stack } from "aws-cdk-lib";
import { Annotations, Match } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FargateRunners, GitHubProps } from "../src";
import { requiredAlternatives } from "../src/required-labels";
import { GITHUB, deployment, HANDLERS_DIRECTORY, IMAGE, templateOf } from "./support";

const ORGANIZATION = { scope: "organization", runnerGroup: "Build Machines" } as const;

test("alternatives are read from one text or from its words", () => {
  const expected = [
    { labels: ["self-hosted", "fargate"] },
    { group: "build machines" },
    { labels: ["dependabot"] },
  ];
  for (const given of [
    ["self-hosted fargate | group:build machines|dependabot"],
    "self-hosted fargate | group:build machines | dependabot".split(" "),
  ]) {
    assert.deepEqual(requiredAlternatives(given, ORGANIZATION), expected);
  }
  assert.deepEqual(requiredAlternatives(["self-hosted", "linux"], ORGANIZATION), [
    { labels: ["self-hosted", "linux"] },
  ]);
});

test("verify and sweep are told the alternatives", () => {
  const github: GitHubProps = {
    ...ORGANIZATION,
    allowedRepositories: ["octo/hello"],
    reconcileCalls: 9,
    requiredLabels: ["self-hosted", "|", "group:Build Machines", "|", "dependabot"],
  };
  const template = templateOf({ github });
  for (const FunctionName of ["fargate-runners-verify", "fargate-runners-sweep"]) {
    template.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName,
      Environment: {
        Variables: { REQUIRED_LABELS: "self-hosted | group:Build Machines | dependabot" },
      },
    });
  }
});

const REFUSED: [string, GitHubProps, RegExp][] = [
  [
    "nothing",
    { requiredLabels: [] },
    /Invalid github\.requiredLabels: \[\]\. Allowed: at least one/,
  ],
  [
    "a label that no tag holds",
    { requiredLabels: ["self-hosted | build(er)"] },
    /Invalid github\.requiredLabels: "build\(er\)"\. Allowed: letters, digits/,
  ],
  [
    "an empty alternative",
    { requiredLabels: ["self-hosted |"] },
    /Invalid github\.requiredLabels: ""\. Allowed: labels or/,
  ],
  [
    "a group without a name",
    { ...ORGANIZATION, requiredLabels: ["group: "] },
    /the runner group's name after `group:`/,
  ],
  [
    "a group among labels",
    { ...ORGANIZATION, requiredLabels: ["gpu group:Build Machines"] },
    /`group:NAME` as an alternative of its own/,
  ],
  [
    "a group at repository scope",
    { requiredLabels: ["group:Default"] },
    /only with scope 'organization', because a repository has no groups/,
  ],
  [
    "a group that the runners don't join",
    { scope: "organization", requiredLabels: ["self-hosted | group:Other"] },
    /`group:Default`, because the runners join the runner group 'Default'/,
  ],
];

for (const [what, github, message] of REFUSED) {
  test(`${what} as required labels is refused`, () => {
    assert.throws(() => deployment({ github }), message);
  });
}

/** The warnings of a deployment to a region. */
function warnings(region?: string, github?: GitHubProps): string[] {
  const stack = new Stack(new App(), "Test", { env: { region } });
  new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { image: IMAGE },
    github: { ...GITHUB, ...github },
  });
  return Annotations.fromStack(stack)
    .findWarning("*", Match.anyValue())
    .map(({ entry }) => String(entry.data));
}

test("a runner that meets one of the alternatives is reachable", () => {
  assert.deepEqual(warnings(undefined, { requiredLabels: ["dependabot | self-hosted"] }), []);
  const [warning] = warnings(undefined, { requiredLabels: ["dependabot | gpu"] });
  assert.match(warning!, /with the label dependabot, or gpu, which this runner doesn't offer/);
  const github: GitHubProps = { ...ORGANIZATION, requiredLabels: ["gpu | group:Build Machines"] };
  assert.deepEqual(warnings(undefined, github), []);
});

test("a region without function URLs is warned of", () => {
  const [warning] = warnings("eu-central-2");
  assert.match(warning!, /no Lambda function URLs in eu-central-2/);
  for (const region of ["eu-central-1", undefined]) {
    assert.deepEqual(warnings(region), []);
  }
});
