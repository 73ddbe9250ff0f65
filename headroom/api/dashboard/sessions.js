// Sessions, and one of them block by block.

import { get, login } from "./api.js";
import { card, h, table } from "./dom.js";
import { count, milliseconds, share, tokens, usd, when } from "./format.js";
import { originalLink, withLinks } from "./originals.js";
import { outcome } from "./overview.js";

export async function sessions(page) {
  const found = await get("/sessions?limit=100");
  page.show("Sessions", table("The newest sessions", [
    ["session", (s) => h("a", { href: `#/sessions/${encodeURIComponent(s.session)}` }, s.session || "none")],
    ["client", (s) => s.client || "-"],
    ["project", (s) => s.project || "-"],
    ["model", (s) => s.model || "-"],
    ["began", (s) => when(s.began)],
    ["last", (s) => when(s.last)],
    ["requests", (s) => count(s.requests), "number"],
    ["left out", (s) => tokens(s.tokens_saved), "number"],
    ["share", (s) => share(s.tokens_saved, s.tokens_before), "number"],
    ["billed", (s) => usd(s.cost_usd), "number"],
    ["net saving", (s) => usd(s.saved_usd), "number"],
  ], found.sessions, "No session has come through yet."));
}

export async function session(page, name) {
  const found = await get(`/sessions/${encodeURIComponent(name)}`);
  const t = found.totals;
  page.show(`Session ${name}`,
    h("p", {}, h("a", { href: "#/sessions" }, "All sessions")),
    h("dl", { class: "cards" },
      card("Net saving", usd(t.saved_usd), `${usd(t.cost_usd)} billed, ${usd(t.cost_without_usd)} without headroom`),
      card("Tokens left out", tokens(t.tokens_saved), `${share(t.tokens_saved, t.tokens_before)} of ${tokens(t.tokens_before)}`),
      card("Read from the cache", tokens(t.usage.cache_read_tokens), "tokens"),
      card("Requests", count(t.requests), `${count(t.rewritten)} rewritten, ${count(t.errors)} failed`)),
    found.texts ? null : askForKey("Texts are shown to whoever shows the key", () => session(page, name)),
    found.exchanges.length
      ? h("ol", { class: "timeline" }, found.exchanges.map((one, number) => exchange(one, number === found.exchanges.length - 1)))
      : h("p", { class: "quiet" }, "No request of this session is known."));
}

function exchange(one, open) {
  const saved = Object.entries(one.saved_by_strategy).map(([name, number]) => `${name} ${count(number)}`).join(", ");
  const facts = [
    `${count(one.tokens_input_before)} → ${count(one.tokens_input_after)} tokens`,
    one.cached_tokens === null ? null : `${count(one.cached_tokens)} from the cache`,
    one.cost_usd === null ? null : `${usd(one.cost_usd)} billed, ${usd(one.cost_without_usd)} without`,
    `${milliseconds(one.optimization_latency_ms)} added`,
  ].filter(Boolean).join(" · ");
  return h("li", {}, h("details", { open },
    h("summary", {}, h("span", { class: "time" }, when(one.timestamp)), outcome(one), h("span", {}, facts)),
    h("p", { class: "quiet" }, [one.model, saved && `left out: ${saved}`, one.reason].filter(Boolean).join(" · ")),
    one.break_part ? h("p", { class: "warning" }, `The client changed ${one.break_part}: the cache could not be used behind it.`) : null,
    blocks(one)));
}

function blocks(one) {
  if (!one.blocks.length) return h("p", { class: "quiet" }, "No new tool output in this request.");
  return h("ul", { class: "blocks" }, one.blocks.map(block));
}

function block(step) {
  const saved = Object.entries(step.saved).map(([name, number]) => `${name} ${count(number)}`).join(", ");
  const what = step.text_after === null || step.text_after === undefined ? (step.reason || saved || "as it was") : saved;
  const head = [
    h("strong", {}, step.tool || "tool output"),
    step.subject ? h("code", {}, step.subject) : null,
    h("span", { class: "number" }, `${count(step.before)} → ${count(step.after)}`),
    h("span", { class: "quiet" }, what),
  ];
  const original = step.hash ? h("p", { class: "quiet" }, "original, as it came: ", originalLink(step.hash)) : null;
  if (step.text_before === undefined) return h("li", { class: "block" }, h("div", { class: "head" }, head), original);
  const after = step.text_after === null ? h("p", { class: "quiet" }, "As it was.") : h("pre", { tabindex: "0" }, withLinks(step.text_after, step.hash));
  return h("li", { class: "block" }, h("details", {},
    h("summary", { class: "head" }, head),
    original,
    h("div", { class: "texts" },
      h("section", { "aria-label": "before" }, h("h3", {}, "Before"), h("pre", { tabindex: "0" }, step.text_before)),
      h("section", { "aria-label": "after" }, h("h3", {}, "After"), after))));
}

export function askForKey(title, then) {
  const field = h("input", { type: "password", id: "key", autocomplete: "off", required: true });
  const said = h("p", { class: "warning", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    said.textContent = "";
    try {
      await login(field.value.trim());
      await then();
    } catch (error) {
      said.textContent = error.message;
    }
  };
  return h("form", { class: "ask", onsubmit: submit },
    h("label", { for: "key" }, `${title} (`, h("code", {}, "headroom dashboard"), " prints it)"),
    field, h("button", {}, "Show"), said);
}
