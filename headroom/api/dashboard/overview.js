// What was saved, what it cost, and the requests as they come.

import { get } from "./api.js";
import { cacheReads, costs, costTable } from "./charts.js";
import { card, h, line, meter, table } from "./dom.js";
import { count, milliseconds, share, span, tokens, usd, when } from "./format.js";

const PERIODS = { today: "Today", week: "7 days", all: "All" };
const SHOWN = 50;
const AGAIN = 1500; // milliseconds after a request until the sums are asked for again

const REQUESTS = [
  ["time", (r) => when(r.timestamp)],
  ["session", (r) => (r.session ? h("a", { href: `#/sessions/${encodeURIComponent(r.session)}` }, r.session.slice(0, 12)) : "-")],
  ["client", (r) => r.client || "-"],
  ["project", (r) => r.project || "-"],
  ["model", (r) => r.model || "-"],
  ["status", (r) => r.status || "-", "number"],
  ["outcome", (r) => outcome(r)],
  ["tokens", (r) => count(r.tokens_input_before), "number"],
  ["left out", (r) => count(r.tokens_saved), "number"],
  ["cache reads", (r) => (r.cached_tokens === null ? "-" : count(r.cached_tokens)), "number"],
  ["billed", (r) => usd(r.cost_usd), "number"],
  ["net saving", (r) => (r.cost_usd === null ? "-" : usd(r.cost_without_usd - r.cost_usd)), "number"],
  ["added", (r) => milliseconds(r.optimization_latency_ms), "number"],
];

export function outcome(r) {
  const bad = r.outcome === "error" || r.outcome === "resent" || r.status >= 400;
  return h("span", { class: `outcome ${bad ? "bad" : r.outcome}`, title: r.reason }, r.outcome);
}

let period = "today";

export async function overview(page) {
  const sums = h("section", { "aria-labelledby": "saved" });
  const live = h("section", { "aria-labelledby": "requests" });
  const choice = h("fieldset", { class: "choice" }, h("legend", { class: "hidden" }, "Period"),
    Object.entries(PERIODS).map(([value, name]) => h("label", {},
      h("input", { type: "radio", name: "period", value, checked: value === period, onchange: () => { period = value; refresh(); } }),
      name)));
  const refresh = async () => {
    const asked = period;
    const [summary, history, plans] = await Promise.all([
      get(`/stats/summary?since=${asked}`),
      get(`/stats-history?series=${asked === "all" ? "daily" : "hourly"}`),
      get("/subscription"),
    ]);
    if (page.current() && asked === period) sums.replaceChildren(...shown(summary, history, plans, asked));
  };
  const stats = await get("/stats");
  const known = new Set(stats.recent_requests.map((r) => r.request_id));
  live.append(h("h2", { id: "requests" }, "Requests"),
    table("The newest requests", REQUESTS, stats.recent_requests.slice(0, SHOWN), "No request has come through yet."));
  await refresh();
  page.show("What was saved", h("div", { class: "title" }, choice), sums, live);

  let again = 0;
  page.follow(stats.last_event, (row) => {
    if (known.has(row.request_id)) return;
    known.add(row.request_id);
    let body = live.querySelector("tbody");
    if (!body) {
      live.lastChild.replaceWith(table("The newest requests", REQUESTS, [row]));
      body = live.querySelector("tbody");
    } else {
      body.prepend(line(REQUESTS, row));
    }
    body.firstChild.className = "new";
    while (body.children.length > SHOWN) body.lastChild.remove();
    if (!again) {
      again = setTimeout(() => {
        again = 0;
        refresh().catch(() => {});
      }, AGAIN);
    }
  });
}

function shown(summary, history, plans, period) {
  const t = summary.totals, u = t.usage;
  const read = u.cache_read_tokens, input = read + u.input_tokens + u.cache_write_tokens + u.cache_write_1h_tokens;
  const cards = h("dl", { class: "cards" },
    card("Net saving", usd(t.saved_usd), `${share(t.saved_usd, t.cost_without_usd)} of ${usd(t.cost_without_usd)} without headroom`),
    card("Billed", usd(t.cost_usd), `${usd(t.compression_saved_usd)} less by fewer tokens, ${usd(t.optimizer_saved_usd)} by using the cache`),
    card("Tokens left out", tokens(t.tokens_saved), `${share(t.tokens_saved, t.tokens_before)} of ${tokens(t.tokens_before)}`),
    card("Read from the cache", share(read, input), `${tokens(read)} of ${tokens(input)} tokens billed as input`),
    card("Requests", count(t.requests), `${count(t.rewritten)} rewritten, ${count(t.errors)} failed`));
  const points = inside(history, period);
  const label = period === "all" ? day : hour;
  const strategies = Object.entries(t.saved_by_strategy).sort((a, b) => b[1] - a[1]).map(([name, saved]) => ({ name, saved }));
  return [
    h("h2", { id: "saved", class: "hidden" }, PERIODS[period]),
    cards,
    ...limits(summary.budget, plans),
    points.length ? h("div", { class: "charts" }, costs(points, label), cacheReads(points, label)) : null,
    points.length ? costTable(points, label) : null,
    h("div", { class: "groups" },
      ...["project", "model", "client"].map((by) => table(`By ${by}`, [
        [by, (row) => row.name || "-"],
        ["requests", (row) => count(row.requests), "number"],
        ["left out", (row) => tokens(row.tokens_saved), "number"],
        ["billed", (row) => usd(row.cost_usd), "number"],
        ["net saving", (row) => usd(row.saved_usd), "number"],
      ], summary.by[by], `By ${by}: no request yet.`)),
      table("By strategy", [
        ["strategy", (row) => row.name],
        ["tokens left out", (row) => count(row.saved), "number"],
        ["share", (row) => share(row.saved, t.tokens_saved), "number"],
      ], strategies, "By strategy: nothing was left out yet.")),
  ].filter(Boolean);
}

// The budget, and the windows of plans as the provider tells them.
function limits(budget, plans) {
  const now = Date.now() / 1000, shown = [];
  if (budget.limit_usd !== null) {
    shown.push(meter("Budget for today (UTC)", budget.share, `${usd(budget.spent_usd)} of ${usd(budget.limit_usd)}`));
  }
  for (const plan of plans.plans) {
    for (const window of plan.windows) {
      const name = `${plan.name}, ${window.name}`;
      const gained = window.gained_minutes >= 1 ? `; ${span(60 * window.gained_minutes)} of use gained` : "";
      const reset = window.resets_at ? `, new in ${span(window.resets_at - now)}` : "";
      shown.push(meter(name, window.used, `${(100 * window.used).toFixed(0)} % used${reset}${gained}`));
    }
  }
  return shown.length ? [h("section", { class: "limits", "aria-label": "Limits" }, shown)] : [];
}

function inside(history, period) {
  const points = history[history.series];
  if (period === "all") return points.slice(-60);
  const begin = period === "today" ? new Date().setHours(0, 0, 0, 0) : Date.now() - 7 * 86_400_000;
  const within = points.filter((point) => Date.parse(point.timestamp) + 3_600_000 > begin);
  return period === "today" ? within : byQuarterDay(within);
}

function byQuarterDay(points) {
  const found = new Map();
  for (const point of points) {
    const at = new Date(point.timestamp);
    at.setHours(at.getHours() - (at.getHours() % 6), 0, 0, 0);
    const sum = found.get(at.getTime()) ?? { timestamp: at.toISOString() };
    for (const [name, value] of Object.entries(point)) {
      if (typeof value === "number") sum[name] = (sum[name] ?? 0) + value;
    }
    found.set(at.getTime(), sum);
  }
  return [...found.values()];
}

const hour = (iso) => new Date(iso).toLocaleString([], period === "today" ? { hour: "2-digit", minute: "2-digit" } : { weekday: "short", hour: "2-digit" });
const day = (iso) => new Date(iso).toLocaleDateString([], { month: "short", day: "numeric", timeZone: "UTC" });
