// Which page is shown, the theme, and the connection.

import { follow, login } from "./api.js";
import { h } from "./dom.js";
import { retrievals, troubles } from "./lists.js";
import { original } from "./originals.js";
import { overview } from "./overview.js";
import { askForKey, session, sessions } from "./sessions.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const STATES = { live: "live", offline: "the proxy does not answer", closed: "not connected" };

let turn = 0;
let unfollow = () => {};

function route() {
  const [, name = "", ...rest] = location.hash.split("/");
  if (name === "sessions" && rest.length) return (page) => session(page, decodeURIComponent(rest.join("/")));
  if (name === "originals" && rest.length) return (page) => original(page, rest[0]);
  return { "": overview, sessions, retrievals, troubles }[name] ?? overview;
}

async function render(moved) {
  const mine = ++turn;
  unfollow();
  unfollow = () => {};
  const page = {
    current: () => mine === turn,
    show(title, ...parts) {
      if (!page.current()) return;
      document.title = `${title} - headroom`;
      const heading = h("h1", { tabindex: "-1" }, title);
      main.replaceChildren(heading, ...parts.filter(Boolean));
      main.removeAttribute("aria-busy");
      if (moved) heading.focus();
    },
    follow(last, onExchange) {
      if (page.current()) unfollow = follow(last, onExchange, (state) => say(state));
    },
  };
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === location.hash || (link.hash === "#/" && !location.hash)
      || (link.hash !== "#/" && location.hash.startsWith(`${link.hash}/`));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.setAttribute("aria-busy", "true");
  try {
    await route()(page);
    say("live");
  } catch (error) {
    if (error.status === 401) page.show("A key is needed", askForKey("This proxy asks for its key", () => render(true)));
    else {
      say("offline");
      page.show("That did not work", h("p", { class: "warning", role: "alert" }, error.message),
        h("button", { type: "button", onclick: () => render(true) }, "Try again"));
    }
  }
}

function say(state) {
  if (connection.dataset.state === state) return;
  connection.dataset.state = state;
  connection.textContent = STATES[state];
}

const theme = document.getElementById("theme");

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  theme.textContent = name === "dark" ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Switch to ${name === "dark" ? "light" : "dark"} colours`);
}

function stored() {
  try {
    return localStorage.getItem("headroom-theme");
  } catch {
    return null;
  }
}

const dark = matchMedia("(prefers-color-scheme: dark)");
setTheme(stored() ?? (dark.matches ? "dark" : "light"));
dark.addEventListener("change", () => stored() || setTheme(dark.matches ? "dark" : "light"));
theme.addEventListener("click", () => {
  const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  setTheme(name);
  try {
    localStorage.setItem("headroom-theme", name);
  } catch {
    // without storage the choice lasts as long as the page
  }
});

document.getElementById("skip").addEventListener("click", () => main.querySelector("h1")?.focus());
addEventListener("hashchange", () => render(true));

// `headroom dashboard` prints an address that ends in #key=...; it is shown once and leaves the address at once.
const key = /^#key=(.+)$/.exec(location.hash)?.[1];
if (key) {
  history.replaceState(null, "", `${location.pathname}#/`);
  await login(decodeURIComponent(key)).catch(() => {});
}
render(false);
