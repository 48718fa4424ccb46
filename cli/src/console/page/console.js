// The console's page. It listens to /events and draws; it sends nothing.

import { bars, clock, make, quantile, span, starts } from "./plots.js";

const byId = (id) => document.getElementById(id);
const say = (id, text) => {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
};

/** Jobs by the names of their executions: what was told, and what shows it. */
const jobs = new Map();
let deployment;
let summary;
let looked = 0;
/** The server's clock minus this page's. */
let ahead = 0;
let touched = false;
const now = () => Date.now() + ahead;

const PARTS = {
  Match: "plan", Launch: "plan", Token: "plan", Start: "plan", Runner: "run", WarmRunner: "run",
  Cleanup: "clean", Wait: "wait", WaitForGitHub: "wait", WaitForSlot: "wait", Unmatched: "clean", Failed: "clean",
};
const ICONS = { "timed out": "timed-out" };

// ---------------------------------------------------------------- a job's row

function icon(phase) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${ICONS[phase] ?? phase}`);
  svg.append(use);
  return svg;
}

function show(entry) {
  const { job } = entry;
  const phase = make("span", { class: "phase", "data-phase": job.phase }, icon(job.phase), job.phase);
  const title = make("span", { class: "title" }, make("b", { text: job.name ?? job.execution }));
  const where = [job.repository, job.workflow].filter(Boolean).join(" · ");
  if (where) title.append(" ", make("span", { text: where }));
  title.title = `${job.name ?? job.execution} ${where}`;
  const facts = make("span", { class: "facts" });
  if (job.attempt > 1) facts.append(make("span", {}, "attempt ", make("b", { text: job.attempt })));
  if (job.start) facts.append(make("span", {}, `${job.start.kind} start `, make("b", { text: span(job.start.seconds) })));
  entry.age = make("b");
  facts.append(make("span", {}, job.isOver ? "took " : "for ", entry.age));
  const parts = [phase, title, facts];
  const reason = job.isOver ? (job.phase === "succeeded" ? "" : firstSentence(job.summary)) : job.reason;
  if (reason) parts.push(make("span", { class: "reason", text: reason }));
  entry.track = make("span", { class: "track", "aria-hidden": "true" });
  parts.push(entry.track);
  entry.head.replaceChildren(...parts);
  entry.bars = [];
  fill(entry, entry.track, pieces(job));
  if (entry.root.open) showMore(entry);
  tick(entry);
}

const firstSentence = (text) => text.match(/^.*?[.!?](?=\s|$)/)?.[0] ?? text;

/** The parts of a job's way, in order. */
function pieces(job) {
  const parts = [];
  if (job.queuedAt !== null && job.queuedAt < job.began) {
    parts.push({ part: "queue", from: job.queuedAt, to: job.bars[0]?.from ?? job.began, attempt: 1 });
  }
  for (const bar of job.bars) parts.push(...piecesOf(bar, job));
  return parts;
}

/** A visit of a state; the runner's own has two parts. */
function piecesOf(bar, job) {
  const part = PARTS[bar.state] ?? "plan";
  const { from, to, attempt, failed } = bar;
  if (bar.state !== "Runner") return [{ part, from, to, attempt, failed }];
  if (bar.up === null) return [{ part: "start", from, to, attempt, failed }];
  return [
    { part: "start", from, to: bar.up, attempt },
    { part: "run", from: bar.up, to, attempt, failed },
  ];
}

function fill(entry, track, parts) {
  let attempt = 1;
  for (const piece of parts) {
    const open = piece.to === null;
    const bar = make("i", { class: `bar ${piece.part}${piece.failed ? " failed" : ""}${open ? " open" : ""}` });
    track.append(bar);
    entry.bars.push({ bar, piece });
    if (piece.attempt > attempt && track === entry.track) {
      attempt = piece.attempt;
      const again = make("i", { class: "again", title: `attempt ${attempt}` });
      track.append(again);
      entry.bars.push({ bar: again, piece: { from: piece.from, to: piece.from } });
    }
  }
}

/** Puts the bars where they are now. */
function tick(entry) {
  const { job } = entry;
  const from = job.queuedAt === null ? job.began : Math.min(job.queuedAt, job.began);
  const to = Math.max(job.ended ?? now(), from + 1);
  for (const { bar, piece } of entry.bars) {
    const left = Math.max(0, piece.from - from) / (to - from);
    const right = Math.min(to, piece.to ?? to) - from;
    bar.style.left = `min(${100 * left}%, calc(100% - 3px))`;
    bar.style.width = `${100 * Math.max(0, right / (to - from) - left)}%`;
  }
  const age = span(Math.max(0, to - from) / 1000);
  if (entry.age.textContent !== age) entry.age.textContent = age;
  for (const { cell, bar } of entry.lasting ?? []) cell.textContent = span(Math.max(0, now() - bar.from) / 1000);
}

function showMore(entry) {
  const { job } = entry;
  const why = make("div", { class: "why" }, make("p", { text: job.summary }));
  const terms = make("dl");
  const term = (name, ...said) => terms.append(make("dt", { text: name }), make("dd", {}, ...said));
  term("Next", job.next);
  if (job.change) term("Change", job.change);
  if (job.labels.length > 0) {
    term("Labels", make("span", { class: "labels" }, ...job.labels.map((label) => make("code", { text: label }))));
  }
  why.append(terms);
  const parts = [why];
  entry.lasting = [];
  if (job.bars.length > 0) parts.push(states(entry));
  if (job.isCut) parts.push(make("p", { class: "small", text: "Earlier states are not shown; the execution's history has them." }));
  const links = make("p", { class: "links" });
  const named = { job: "Job at GitHub", execution: "Execution at AWS", task: "Task at AWS", log: "Log at AWS" };
  for (const [name, text] of Object.entries(named)) {
    const address = job.links[name];
    if (address) links.append(make("a", { href: address, target: "_blank", rel: "noreferrer", text: `${text} ↗` }));
  }
  links.append(make("span", { text: `execution ${job.execution}` }));
  parts.push(links);
  // What is focused stays so.
  const focused = entry.more.contains(document.activeElement) ? document.activeElement.href : undefined;
  entry.bars = entry.bars.filter(({ bar }) => entry.track.contains(bar) || parts.some((part) => part.contains(bar)));
  entry.more.replaceChildren(...parts);
  if (focused) [...entry.more.querySelectorAll("a")].find((link) => link.href === focused)?.focus();
}

function states(entry) {
  const { job } = entry;
  const head = ["State", "Attempt", "Timeline", "Start", "Took", "What came of it"];
  const kinds = ["", "number nth", "lane", "number at", "number", ""];
  const first = job.queuedAt === null ? job.began : Math.min(job.queuedAt, job.began);
  const rows = job.bars.map((bar) => {
    const lane = make("div", { "aria-hidden": "true" });
    fill(entry, lane, piecesOf(bar, job));
    const took = make("td", { class: "number" });
    if (bar.to === null && !job.isOver) entry.lasting.push({ cell: took, bar });
    else took.textContent = span(Math.max(0, (bar.to ?? job.ended ?? bar.from) - bar.from) / 1000);
    // Roles, because a narrow screen lays the rows out as grids.
    const cell = (kind, content) => make("td", { role: "cell", class: kind }, content);
    took.setAttribute("role", "cell");
    return make("tr", { role: "row" },
      cell("state", bar.state), cell("number nth", String(bar.attempt)), cell("lane", lane),
      cell("number at", span((bar.from - first) / 1000)), took, cell("said", saidOf(bar, job)));
  });
  return make("table", { class: "states", role: "table" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" },
      ...head.map((name, at) => make("th", { scope: "col", role: "columnheader", class: kinds[at], text: name })))),
    make("tbody", { role: "rowgroup" }, ...rows));
}

function saidOf(bar, job) {
  const said = [];
  if (bar.state === "Runner" && bar.up !== null) said.push(`task up after ${span((bar.up - bar.from) / 1000)}`);
  if (bar.state === "WarmRunner") said.push("a warm task took it");
  if (bar.said) said.push(bar.said);
  else if (bar.state === "Cleanup" && job.isOver && bar.to !== null && job.outcome) said.push(job.outcome);
  if (bar.tries > 1) said.push(`${bar.tries} tries`);
  return said.join("; ");
}

// ---------------------------------------------------------------- all jobs

function take(job) {
  let entry = jobs.get(job.execution);
  const before = entry?.job;
  if (!entry) {
    const root = make("details", { id: `job-${job.execution}` });
    entry = { root, head: make("summary"), more: make("div", { class: "more" }), bars: [] };
    root.append(entry.head, entry.more);
    const built = entry;
    root.addEventListener("toggle", () => { if (root.open) { showMore(built); tick(built); } });
    entry.head.addEventListener("click", () => { touched = true; });
    jobs.set(job.execution, entry);
  }
  entry.job = job;
  entry.words = [job.execution, job.repository, job.name, job.workflow, job.phase, job.outcome, ...job.labels].join(" ").toLowerCase();
  show(entry);
  if (location.hash === `#job-${job.execution}` && !before) entry.root.open = true;
  if (before && before.phase !== job.phase) {
    say("told", `${job.name ?? job.execution}${job.repository ? ` of ${job.repository}` : ""}: ${job.phase}`);
  }
}

function arrange() {
  const all = [...jobs.values()].sort((a, b) => a.job.isOver - b.job.isOver || b.job.began - a.job.began);
  const list = byId("list");
  let place = list.firstElementChild;
  for (const { root } of all) {
    if (root === place) place = place.nextElementSibling;
    else list.insertBefore(root, place);
  }
  // One job is what the visitor came to see.
  if (!touched && !location.hash && all.length > 0 && all.length <= 2) all[0].root.open = true;
  filter();
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { root, words: own } of jobs.values()) {
    root.hidden = !words.every((word) => own.includes(word));
    if (!root.hidden) shown += 1;
  }
  byId("empty").hidden = shown > 0;
  if (shown === 0 && summary) {
    const any = jobs.size > 0;
    say("empty-title", any ? "No job has these words." : "No job yet.");
    const place = byId("empty-text");
    if (any) place.textContent = "";
    else if (deployment?.isLocal) {
      place.replaceChildren("Queue one from another terminal:", make("br"), make("code", { text: "cargo xtask job --run 'echo hello; sleep 5'" }));
    } else place.textContent = "A queued job appears here within seconds.";
  }
  const over = [...jobs.values()].filter(({ job }) => job.isOver).length;
  const parts = [`${jobs.size - over} running, ${over} ended`];
  if (summary?.leftOut > 0) parts.push(`${summary.leftOut} older running ones are not shown`);
  if (summary?.unread > 0) parts.push(`${summary.unread} histories are still to be read`);
  say("jobs-more", jobs.size > 0 ? parts.join("; ") : "");
}

function plot() {
  const read = [...jobs.values()].map(({ job }) => job).filter((job) => job.isRead);
  const points = read.filter((job) => job.start).map((job) => ({
    at: job.queuedAt, seconds: job.start.seconds, kind: job.start.kind, label: job.name ?? job.execution,
  }));
  starts(byId("p-start"), points);
  const median = (kind) => quantile(points.filter((point) => point.kind === kind).map((point) => point.seconds), 0.5);
  const [warm, cold] = [median("warm"), median("cold")];
  const shown = warm ?? cold;
  big("t-start", ...(shown === undefined ? ["–", ""] : span(shown).split(" ")));
  say("t-start-more", warm !== undefined && cold !== undefined ? `warm; cold ${span(cold)}` : warm !== undefined ? "warm starts" : cold !== undefined ? "cold starts" : "no start yet");

  const counts = new Map();
  for (const job of read.filter((job) => job.outcome)) {
    const known = counts.get(job.outcome) ?? { value: 0, kind: kindOf(job) };
    known.value += 1;
    counts.set(job.outcome, known);
  }
  const rows = [...counts].map(([name, { value, kind }]) => ({ name, value, kind, shown: String(value) }));
  rows.sort((a, b) => b.value - a.value || a.name.localeCompare(b.name));
  bars(byId("p-outcome"), rows, "No job has ended yet.");
  say("p-outcome-more", `Of the last ${deployment?.ended ?? ""} jobs that ended: GitHub's conclusion, or why the execution failed.`);
}

function kindOf(job) {
  if (job.phase !== "succeeded") return "bad";
  if (job.outcome === "job succeeded") return "good";
  return job.outcome === "job failed" ? "own" : "other";
}

// ---------------------------------------------------------------- the numbers

function big(id, number, unit = "") {
  const place = byId(id);
  if (place.textContent === number + unit) return;
  place.replaceChildren(number, ...(unit ? [make("span", { class: "unit", text: unit })] : []));
}

const dollars = (value) => (value === 0 ? "$0" : value < 0.01 ? `$${value.toPrecision(2)}` : value < 10 ? `$${value.toFixed(2)}` : `$${Math.round(value).toLocaleString()}`);
const listed = (parts) => parts.filter(Boolean).join(" · ");

function sum() {
  const { phases, stock, tasks, rate, cost } = summary;
  const running = Object.values(phases).reduce((a, b) => a + b, 0);
  big("t-running", String(running));
  say("t-running-more", running === 0 ? "no job" : listed(Object.entries(phases).map(([name, count]) => count > 0 && `${count} ${name}`)));
  if (stock === null) {
    big("t-stock", "none");
    say("t-stock-more", "every start is cold");
  } else {
    const of = (name) => stock.reduce((all, family) => all + family[name], 0);
    big("t-stock", String(of("ready")), "ready");
    say("t-stock-more", listed([`${of("starting")} starting`, stock.length > 1 && `${stock.length} families`]));
  }
  if (tasks) {
    big("t-tasks", String(tasks.running), tasks.running === 1 ? "task" : "tasks");
    say("t-tasks-more", listed([
      `${tasks.pending} pending`, `${summary.vcpus} vCPU in jobs`,
      summary.withoutCapacity > 0 && `${summary.withoutCapacity} without capacity`,
    ]));
  }
  if (rate) {
    big("t-rate", rate.left.toLocaleString());
    say("t-rate-more", `as of ${clock(rate.at)}`);
  } else say("t-rate-more", "not told in the last hour");
  big("t-cost", dollars(cost.dollars));
  const seconds = cost.repositories.reduce((all, one) => all + one.seconds, 0);
  say("t-cost-more", !cost.isRead ? "reading the log" : seconds > 0 ? `list price; ${span(seconds)} of runners` : "no runner has ended");
  say("p-cost-more", `US dollars at list price and runners' billed time, last ${cost.hours} hours.`);
  const rows = cost.repositories.map((one) => ({ name: one.name, value: one.dollars, shown: dollars(one.dollars), more: span(one.seconds) }));
  bars(byId("p-cost"), rows, cost.isRead ? "No runner has ended yet." : "The log is being read.");
  say("foot", `It only reads: at most ${deployment.callsPerLook} calls at AWS every ${deployment.everySeconds} s while a page is open, ${summary.calls} in the last look.`);
  trouble();
}

let problem = null;
function trouble() {
  const told = [problem, ...(summary?.problems ?? [])].filter(Boolean);
  const place = byId("problem");
  place.hidden = told.length === 0;
  say("problem", told.join(" "));
}

function live(state, text) {
  byId("live").dataset.state = state;
  say("live-text", text);
}

// ---------------------------------------------------------------- the stream

const events = new EventSource("/events");
const on = (name, act) => events.addEventListener(name, ({ data }) => act(JSON.parse(data)));
events.onerror = () => live("lost", "connection lost; trying again");
on("deployment", (told) => {
  deployment = told;
  document.title = `${told.stack} · Fargate Runners`;
  const place = byId("where");
  place.replaceChildren(`${told.stack} · ${told.isLocal ? "local engine" : told.region}`);
  for (const [name, text] of [["machine", "executions ↗"], ["tasks", "tasks ↗"]]) {
    if (told.links[name]) place.append(" · ", make("a", { href: told.links[name], target: "_blank", rel: "noreferrer", text }));
  }
});
on("summary", (told) => {
  summary = told;
  looked = Date.now();
  ahead = told.now - looked;
  sum();
  filter();
  live("live", "live");
});
on("jobs", (told) => {
  told.forEach(take);
  arrange();
  plot();
});
on("gone", (names) => {
  for (const name of names) {
    jobs.get(name)?.root.remove();
    jobs.delete(name);
  }
  arrange();
  plot();
});
on("problem", (told) => {
  problem = told;
  if (told) live("lost", "cannot look");
  trouble();
});
byId("filter").addEventListener("input", filter);
setInterval(() => {
  for (const entry of jobs.values()) if (!entry.job.isOver) tick(entry);
  const age = Math.round((Date.now() - looked) / 1000);
  if (looked && byId("live").dataset.state === "live") say("live-text", age > 3 * deployment.everySeconds + 2 ? `live, last look ${age} s ago` : "live");
}, 250);
