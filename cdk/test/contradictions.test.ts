import assert from "node:assert/strict";
import { test } from "node:test";
import { Config } from "../app/config";
import { appTemplate } from "./support";

const SERVER = "https://ghe.example.org/api/v3";
const ECR = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/runner:1";

/** A configuration that could be deployed and serves no job, and what is said of it. */
const REFUSED: [string, Config, RegExp][] = [
  ["no runner", { runners: [] }, /Invalid runners: \[\]\. Allowed: at least one runner; leave it/],
  [
    "an isolated network and GitHub on the internet",
    { network: "isolated" },
    /Invalid network: "isolated"\. Allowed: public or nat, because an isolated runner has no way/,
  ],
  [
    "an isolated network and an enterprise at ghe.com",
    { network: "isolated", githubApiUrl: "https://api.octo.ghe.com", image: ECR },
    /Invalid network: "isolated"/,
  ],
  [
    "an isolated network and an image elsewhere",
    { network: "isolated", githubApiUrl: SERVER },
    /Invalid image: "example\.org\/runner:1"\. Allowed: an image in ECR, because an isolated/,
  ],
  [
    "an isolated network and a runner's image elsewhere",
    {
      network: "isolated",
      githubApiUrl: SERVER,
      image: ECR,
      runners: [{ name: "a", image: "ghcr.io/octo/runner" }],
    },
    /^Error: runners\[0\] \(a\): Invalid image: "ghcr\.io\/octo\/runner"\. Allowed: an image in ECR/,
  ],
  [
    "an image that is none",
    { image: "two words" },
    /Invalid image: "two words"\. Allowed: an image/,
  ],
  [
    "a runner's image that is none",
    { runners: [{ image: "https://example.org/x" }] },
    /^Error: runners\[0\]: Invalid image: "https/,
  ],
  [
    "a runner's image that is given and built",
    { runners: [{ name: "a", image: ECR, rebuildWeekly: true }] },
    /^Error: runners\[0\] \(a\): Invalid rebuildWeekly: true\. Allowed: false, or no image/,
  ],
  [
    "a name that is none",
    { runners: [{ name: "Network" }] },
    /^Error: runners\[0\] \(Network\): Invalid name: "Network"\. Allowed: 1 to 40 characters/,
  ],
  [
    "two runners without a name",
    { runners: [{}, { labels: ["self-hosted", "gpu"] }] },
    /^Error: runners\[1\]: Invalid name: "ubuntu-x64"\. Allowed: a name of its own: runners\[0\] is/,
  ],
  [
    "the same labels twice",
    { runners: [{ name: "a", labels: ["Linux", "gpu", "self-hosted"] }, GPU("b")] },
    /^Error: runners\[1\] \(b\): No job reaches b: a offers the same labels/,
  ],
  [
    "labels without the one that jobs must ask for",
    { labels: ["linux", "gpu"] },
    /^Error: No job reaches ubuntu-x64: .* the label self-hosted.*Add it to its labels\.$/,
  ],
  [
    "a runner for repositories that are not served",
    { allowedOwners: ["octo"], runners: [{ ...GPU("a"), repositories: ["cats/*", "dogs/one"] }] },
    /^Error: runners\[0\] \(a\): Invalid repositories: .*Allowed: repositories that allowedOwners and/,
  ],
  [
    "a runner for a repository that is not served",
    { allowedRepositories: ["octo/hello"], runners: [{ ...GPU("a"), repositories: ["octo/bye"] }] },
    /Invalid repositories: \["octo\/bye"\]/,
  ],
];

function GPU(name: string) {
  return { name, labels: ["self-hosted", "linux", "gpu"] };
}

for (const [what, config, message] of REFUSED) {
  test(`${what} is refused in one sentence`, () => {
    assert.throws(() => appTemplate(config), message);
  });
}

test("what serves some jobs is taken", () => {
  for (const config of [
    // Nothing of the local stack is on the internet.
    { network: "isolated", githubApiUrl: "http://127.0.0.1:4000" },
    { network: "isolated", githubApiUrl: SERVER, image: ECR },
    {
      allowedOwners: ["octo"],
      runners: [
        { ...GPU("a"), repositories: ["octo/one", "cats/*"] },
        { ...GPU("b"), repositories: ["Octo/two"] },
        GPU("c"),
      ],
    },
    { allowedOwners: ["*"], runners: [{ ...GPU("a"), repositories: ["cats/*"] }] },
    { allowedOwners: ["octo:7"], runners: [{ ...GPU("a"), repositories: ["renamed/*"] }] },
  ] satisfies Config[]) {
    appTemplate(config);
  }
});
