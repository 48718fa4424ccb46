// The plots: SVG for points, a table for bars. Each reads without colour, and as a table.

const SVG = "http://www.w3.org/2000/svg";

export function make(name, attributes = {}, ...children) {
  const { text, ...rest } = attributes;
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(rest)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

function draw(name, attributes, text) {
  const drawn = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) drawn.setAttribute(key, value);
  if (text !== undefined) drawn.textContent = text;
  return drawn;
}

/** A duration in seconds, short. */
export function span(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 3570) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  if (hours < 48) return `${hours < 9.95 ? hours.toFixed(1) : Math.round(hours)} h`;
  return `${Math.round(hours / 24)} d`;
}

export function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function quantile(values, share) {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const low = Math.floor(place);
  return sorted[low] + (sorted[Math.ceil(place)] - sorted[low]) * (place - low);
}

const WIDTH = 360;
const HEIGHT = 190;
const LEFT = 46;
const BOTTOM = 24;
const TOP = 8;
const RIGHT = 10;
const TICKS = [0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 36000, 86400];

function shape(kind, x, y, r) {
  return kind === "warm"
    ? draw("circle", { class: "warm", cx: x, cy: y, r })
    : draw("rect", { class: "cold", x: x - r + 0.5, y: y - r + 0.5, width: 2 * r - 1, height: 2 * r - 1 });
}

/** Points `{ at, seconds, kind, label }`, on a logarithmic scale: warm and cold differ by a factor of ten. */
export function starts(place, points) {
  if (points.length === 0) {
    place.replaceChildren(make("p", { class: "none", text: "No runner came up yet." }));
    return;
  }
  const seconds = points.map((point) => Math.max(point.seconds, 0.1));
  const bottom = TICKS.findLast((tick) => tick <= Math.min(...seconds)) ?? TICKS[0];
  const top = TICKS.find((tick) => tick > Math.max(...seconds)) ?? TICKS.at(-1);
  const first = Math.min(...points.map((point) => point.at));
  const last = Math.max(...points.map((point) => point.at), first + 60_000);
  const x = (at) => LEFT + 6 + ((at - first) / (last - first)) * (WIDTH - LEFT - RIGHT - 12);
  const y = (value) =>
    TOP + (1 - Math.log(Math.max(value, 0.1) / bottom) / Math.log(top / bottom)) * (HEIGHT - TOP - BOTTOM);
  const kinds = ["warm", "cold"].map((kind) => {
    const own = points.filter((point) => point.kind === kind).map((point) => point.seconds);
    return { kind, own, median: quantile(own, 0.5) };
  });
  const told = kinds
    .filter(({ own }) => own.length > 0)
    .map(({ kind, own, median }) => `${own.length} ${kind}, median ${span(median)}`);
  const plot = draw("svg", {
    class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": `Queue to start: ${told.join("; ")}.`,
  });
  for (const tick of TICKS.filter((tick) => tick >= bottom && tick <= top)) {
    plot.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
    plot.append(draw("text", { x: LEFT - 7, y: y(tick) + 4, "text-anchor": "end" }, span(tick).replace(".0", "")));
  }
  for (const [at, anchor, edge] of [[first, "start", LEFT], [last, "end", WIDTH - RIGHT]]) {
    plot.append(draw("text", { x: edge, y: HEIGHT - 6, "text-anchor": anchor }, clock(at)));
  }
  for (const { kind, median } of kinds) {
    if (median === undefined) continue;
    plot.append(draw("line", { class: `median ${kind}`, x1: LEFT, x2: WIDTH - RIGHT, y1: y(median), y2: y(median) }));
  }
  for (const point of points) {
    const drawn = shape(point.kind, x(point.at), y(point.seconds), 4);
    drawn.append(draw("title", {}, `${point.label}: ${point.kind}, ${span(point.seconds)}, ${clock(point.at)}`));
    plot.append(drawn);
  }
  const keys = make("ul", { class: "keys" });
  const rows = [];
  for (const { kind, own, median } of kinds) {
    if (own.length === 0) continue;
    const sample = draw("svg", { class: "plot", viewBox: "0 0 10 10", "aria-hidden": "true" });
    sample.append(shape(kind, 5, 5, 4.5));
    keys.append(make("li", {}, sample, `${kind}: ${own.length}, median ${span(median)}`));
    rows.push([kind, own.length, span(Math.min(...own)), span(median), span(quantile(own, 0.95)), span(Math.max(...own))]);
  }
  const wasOpen = place.querySelector("details")?.open ?? false;
  const details = make("details", {}, make("summary", { text: "As a table" }),
    table(["start", "jobs", "least", "median", "95 %", "most"], rows));
  details.open = wasOpen;
  place.replaceChildren(plot, keys, details);
}

function table(names, rows) {
  const head = make("tr", {}, ...names.map((name, at) => make("th", { scope: "col", class: at ? "number" : "", text: name })));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell, at) => make("td", { class: at ? "number" : "", text: cell }))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

/** Rows `{ name, value, shown, more, kind }`, longest first. */
export function bars(place, rows, none) {
  if (rows.length === 0) {
    place.replaceChildren(make("p", { class: "none", text: none }));
    return;
  }
  const most = Math.max(...rows.map((row) => row.value), Number.MIN_VALUE);
  const body = rows.map((row) => {
    const stick = make("div", { class: `stick ${row.kind ?? ""}` });
    stick.style.width = `${(100 * row.value) / most}%`;
    const value = make("td", { class: "value", text: row.shown });
    if (row.more) value.append(" ", make("small", { text: row.more }));
    return make("tr", {}, make("th", { scope: "row", text: row.name }), make("td", { "aria-hidden": "true" }, stick), value);
  });
  place.replaceChildren(make("table", { class: rows.some((row) => row.more) ? "bars" : "bars plain" }, make("tbody", {}, ...body)));
}
