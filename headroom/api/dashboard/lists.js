// What was asked back, and what went wrong.

import { get } from "./api.js";
import { h, table } from "./dom.js";
import { count, when } from "./format.js";
import { originalLink } from "./originals.js";
import { outcome } from "./overview.js";
import { askForKey } from "./sessions.js";

const link = (session) => (session ? h("a", { href: `#/sessions/${encodeURIComponent(session)}` }, session.slice(0, 12)) : "-");
const HOW = { model: "called by the model", http: "asked for over HTTP" };

export async function retrievals(page) {
  const found = await get("/retrievals?limit=200");
  page.show("Retrievals",
    h("p", {}, "What had been left out and was given back since this proxy started."),
    found.whole ? null : askForKey("Originals are shown to whoever shows the key", () => retrievals(page)),
    table("Retrievals", [
      ["time", (r) => when(r.time)],
      ["how", (r) => HOW[r.how]],
      ["tool", (r) => r.tool || "-"],
      ["original", (r) => originalLink(r.hash)],
      ["session", (r) => link(r.session)],
      ["tokens", (r) => count(r.tokens), "number"],
    ], found.retrievals, "Nothing was asked back yet."));
}

export async function troubles(page) {
  const found = await get("/troubles?limit=200");
  page.show("Errors",
    h("p", {}, "Requests that failed, were refused by the provider, or left as they came since something did not work."),
    table("Requests in trouble", [
      ["time", (r) => when(r.timestamp)],
      ["session", (r) => link(r.session)],
      ["client", (r) => r.client || "-"],
      ["model", (r) => r.model || "-"],
      ["status", (r) => r.status || "-", "number"],
      ["outcome", outcome],
      ["reason", (r) => r.reason || "-"],
    ], found.requests, "None. Every request went as it should."),
    h("h2", {}, "Why requests were not rewritten"),
    table("Reasons", [
      ["reason", (r) => r.reason || "nothing to shorten"],
      ["requests", (r) => count(r.requests), "number"],
    ], found.reasons, "Every request was rewritten."));
}
