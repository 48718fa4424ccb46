// Runs a handler of Node against Lambda's Runtime API, as the runtime that a bundle without a bootstrap expects.
import { existsSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

/** One call of the Runtime API. */
function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host, port, agent, method, path: `/2018-06-01/runtime/${path}` },
      (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(parts).toString() }));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

const told = (error) =>
  JSON.stringify({ errorType: error?.name ?? "Error", errorMessage: String(error?.message ?? error) });

/** The function that `_HANDLER` names. */
async function handler() {
  const named = process.env._HANDLER;
  const dot = named.lastIndexOf(".");
  const base = join(process.env.LAMBDA_TASK_ROOT, named.slice(0, dot));
  const file = [".js", ".mjs", ".cjs"].map((end) => base + end).find(existsSync);
  if (!file) throw new Error(`there is no ${base}.js, .mjs or .cjs`);
  const loaded = await import(pathToFileURL(file).href);
  const found = loaded[named.slice(dot + 1)] ?? loaded.default?.[named.slice(dot + 1)];
  if (typeof found !== "function") throw new Error(`${file} exports no ${named.slice(dot + 1)}`);
  return found;
}

let run;
try {
  run = await handler();
} catch (error) {
  await call("POST", "init/error", told(error));
  process.exit(1);
}
for (;;) {
  const next = await call("GET", "invocation/next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  const context = { awsRequestId: id, callbackWaitsForEmptyEventLoop: false, getRemainingTimeInMillis: () => 60_000 };
  try {
    const answer = await new Promise((resolve, reject) => {
      const done = (error, result) => (error ? reject(error) : resolve(result));
      const promise = run(JSON.parse(next.text), context, done);
      if (promise?.then) promise.then(resolve, reject);
    });
    await call("POST", `invocation/${id}/response`, JSON.stringify(answer ?? null));
  } catch (error) {
    await call("POST", `invocation/${id}/error`, told(error));
  }
}
