// Elements, made from text and never from markup: what a tool printed stays text.

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined).map(text));
  return element;
}

function text(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

// A table with a caption that a screen reader tells first. A column is [heading, cell of a row, "number"?].
export function table(caption, columns, rows, empty = "Nothing yet.") {
  if (!rows.length) return h("p", { class: "quiet" }, empty);
  const heads = columns.map(([name, , kind]) => h("th", { scope: "col", class: kind }, name));
  const body = h("tbody", {}, rows.map((row) => line(columns, row)));
  const made = h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads)), body);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made);
}

export function line(columns, row) {
  return h("tr", {}, columns.map(([, cell, kind], number) =>
    number ? h("td", { class: kind }, cell(row)) : h("th", { scope: "row", class: kind }, cell(row))));
}

export function card(title, value, more) {
  return h("div", { class: "card" }, h("dt", {}, title), h("dd", { class: "value" }, value), h("dd", { class: "more" }, more));
}

// How full something is, as a bar and in words.
export function meter(name, share, words) {
  const full = Math.max(0, Math.min(1, share));
  const bar = h("meter", { min: 0, max: 1, high: 0.8, optimum: 0, value: full, "aria-label": `${name}: ${words}` });
  return h("div", { class: "meter" }, h("span", {}, name), bar, h("span", { class: "quiet" }, words));
}
