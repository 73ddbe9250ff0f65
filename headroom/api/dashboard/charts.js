// Bars over time in SVG, with the same numbers in a table for whoever can't see them.

import { h, svg, table } from "./dom.js";
import { count, tokens, usd } from "./format.js";

const WIDTH = 720, HEIGHT = 180, LEFT = 52, BOTTOM = 22, TOP = 8;

// What was billed stands before what it would have been: what shows above it was saved.
export function costs(points, label) {
  const highest = Math.max(...points.map((p) => Math.max(p.cost_usd, p.cost_without_usd)), 0);
  return figure("Cost with and without headroom", points, label, highest, usd, [
    ["without", (p) => p.cost_without_usd, 1],
    ["billed", (p) => p.cost_usd, 0.6],
  ], (p) => `${usd(p.cost_usd)} billed, ${usd(p.cost_without_usd)} without headroom`);
}

export function cacheReads(points, label) {
  const highest = Math.max(...points.map((p) => p.cache_read_tokens), 0);
  return figure("Tokens read from the provider's cache", points, label, highest, tokens, [
    ["cached", (p) => p.cache_read_tokens, 0.8],
  ], (p) => `${count(p.cache_read_tokens)} tokens read from the cache`);
}

export function costTable(points, label) {
  const columns = [
    ["from", (p) => label(p.timestamp)],
    ["requests", (p) => count(p.requests), "number"],
    ["billed", (p) => usd(p.cost_usd), "number"],
    ["without", (p) => usd(p.cost_without_usd), "number"],
    ["net saving", (p) => usd(p.saved_usd), "number"],
    ["cache reads", (p) => count(p.cache_read_tokens), "number"],
    ["tokens left out", (p) => count(p.tokens_saved), "number"],
  ];
  return h("details", {}, h("summary", {}, "The same as a table"), table("Over time", columns, points));
}

function figure(title, points, label, highest, format, bars, words) {
  const top = highest || 1, inner = HEIGHT - TOP - BOTTOM, step = (WIDTH - LEFT) / Math.max(points.length, 1);
  const y = (value) => TOP + inner * (1 - Math.max(0, value) / top);
  const grid = [0, 0.5, 1].map((part) => [
    svg("line", { x1: LEFT, x2: WIDTH, y1: y(part * top), y2: y(part * top), class: "grid" }),
    svg("text", { x: LEFT - 6, y: y(part * top) + 4, class: "axis", "text-anchor": "end" }, format(part * highest)),
  ]);
  const every = Math.ceil(points.length / 8);
  const groups = points.map((point, number) => {
    const x = LEFT + number * step;
    const shapes = bars.map(([name, value, width]) => {
      const wide = Math.min(step * 0.8, 40) * width, height = TOP + inner - y(value(point));
      return svg("rect", { x: x + (step - wide) / 2, y: y(value(point)), width: wide, height, class: `bar ${name}` });
    });
    const name = number % every || x + step / 2 > WIDTH - 24 ? null
      : svg("text", { x: x + step / 2, y: HEIGHT - 6, class: "axis", "text-anchor": "middle" }, label(point.timestamp));
    return svg("g", {}, svg("title", {}, `${label(point.timestamp)}: ${words(point)}`), shapes, name);
  });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title }, grid.flat(), groups);
  const legend = bars.length > 1
    ? h("span", { class: "legend" }, h("span", { class: "key billed" }, "billed"), h("span", { class: "key without" }, "without headroom"))
    : null;
  return h("figure", {}, h("figcaption", {}, title, legend), picture);
}
