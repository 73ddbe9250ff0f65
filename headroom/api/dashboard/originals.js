// An original, as it came: asked for when somebody opens it, and not before.

import { get } from "./api.js";
import { h } from "./dom.js";
import { count } from "./format.js";

const SHOWN = 100_000; // characters that are shown at first
const WHOLE = /^[0-9a-f]{24}$/;

// A link to what a marker stands for; whoever has not shown the key is told a part of the hash, which leads nowhere.
export function originalLink(hash) {
  const name = h("code", {}, hash || "none");
  return WHOLE.test(hash) ? h("a", { href: `#/originals/${hash}`, "aria-label": `original ${hash}` }, name) : name;
}

// A text whose markers that name ``hash`` lead to its original.
export function withLinks(text, hash) {
  if (!WHOLE.test(hash)) return [text];
  return text.split(hash).flatMap((part, number) => (number ? [originalLink(hash), part] : [part]));
}

export async function original(page, hash) {
  const title = `Original ${hash}`;
  let found;
  try {
    found = await get(`/v1/retrieve/${encodeURIComponent(hash)}`);
  } catch (error) {
    if (![400, 404, 410].includes(error.status)) throw error;
    page.show(title, h("p", { class: "warning", role: "alert" }, error.message));
    return;
  }
  const text = found.original_content;
  const facts = [
    found.tool_name,
    `${count(found.original_tokens)} tokens`,
    `${count(found.original_item_count)} ${found.item_kind}`,
  ].filter(Boolean).join(" · ");
  const pre = h("pre", { tabindex: "0", "aria-label": "the original" }, text.slice(0, SHOWN));
  const all = h("button", { type: "button", onclick: () => { pre.replaceChildren(text); all.remove(); pre.focus(); } },
    `Show all ${count(text.length)} characters`);
  page.show(title,
    h("p", {}, facts, h("span", { class: "quiet" }, " · in a terminal: "), h("code", {}, `headroom retrieve ${found.hash}`)),
    pre, text.length > SHOWN ? all : null);
}
