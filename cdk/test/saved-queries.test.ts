import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { repositoryFile } from "../src/repository-files";
import { templateOf } from "./support";

/** The text of a saved query. */
function query(title: string): string {
  const queries = Object.values(templateOf().findResources("AWS::Logs::QueryDefinition"));
  const found = queries.find(({ Properties }) => Properties.Name === `fargate-runners/${title}`);
  return String(found!.Properties.QueryString);
}

test("the query of one job shows why verify starts nothing for it", () => {
  const text = query("One job, from the webhook to the end");
  const shown = /coalesce\(([^)]+)\)/.exec(text)![1]!.split(", ");
  // A line of `verify` about such a job: its reason stands in `reason`, its kind in `done`.
  const verify = readFileSync(repositoryFile("handlers", "verify", "src", "lib.rs"), "utf8");
  assert.match(verify, /reason = %refusal,\s+"a queued job is not served"/);
  assert.match(verify, /\?done, "webhook taken"/);
  assert.ok(shown.includes("reason") && shown.includes("done"), text);
  // An id stands at several places of a line, by function; and is a number, which is no text.
  assert.match(text, /filter @message like "/);
});

test("the guide names the query as it is called", () => {
  const guide = readFileSync(repositoryFile("docs", "troubleshooting.md"), "utf8");
  const named = [...guide.matchAll(/query\s+\*([^*]+)\*/g)].map(([, title]) => title!);
  assert.ok(named.length > 0);
  for (const title of named) {
    query(title);
  }
});
