// The console: who is signed in, and which view is shown.

import { api, token, Unauthorized } from "./api.js";
import { campaign, campaigns } from "./campaigns.js";
import { compose } from "./compose.js";
import { field, h } from "./dom.js";
import { schedules } from "./schedules.js";
import { subscribers } from "./subscribers.js";

const view = document.getElementById("view");
const nav = document.getElementById("nav");
const leave = document.getElementById("leave");

const VIEWS = {
  subscribers: ["Subscribers", subscribers],
  compose: ["Compose", compose],
  campaigns: ["Campaigns", campaigns],
  schedules: ["Schedules", schedules],
};

let current = new AbortController();
let first = true;

function go(to) {
  if (location.hash === `#${to}`) show();
  else location.hash = to;
}

async function show() {
  current.abort();
  const { signal } = (current = new AbortController());
  const [name, id] = location.hash.slice(1).split("/");
  if (!token.get()) return signIn();
  const [title, make] = VIEWS[name] ?? VIEWS.subscribers;
  document.body.classList.remove("outside");
  nav.hidden = leave.hidden = false;
  for (const link of nav.children) {
    if (link.hash === `#${VIEWS[name] ? name : "subscribers"}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = h("h1", { tabIndex: -1 }, id && name === "campaigns" ? "Campaign" : title);
  const top = h("div", { className: "top" }, heading, extra(name, id));
  document.title = `${heading.textContent} · pushcast console`;
  view.setAttribute("aria-busy", "true");
  try {
    const content = id && name === "campaigns" ? await campaign(decodeURIComponent(id), signal, signIn) : await make(go);
    if (signal.aborted) return;
    view.replaceChildren(top, ...content);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Unauthorized) return signIn(error.message);
    const again = h("button", { className: "quiet slim", type: "button", on: { click: show } }, "Try again");
    view.replaceChildren(top, h("div", { className: "card stack" }, h("p", { className: "note bad", attr: { role: "alert" } }, error.message), h("div", {}, again)));
  } finally {
    if (!signal.aborted) view.removeAttribute("aria-busy");
  }
  // Who listens hears where they are; at the first view the page itself says so.
  if (!first) heading.focus({ preventScroll: true });
  if (!first) scrollTo(0, 0);
  first = false;
}

function extra(name, id) {
  if (name === "compose") return null;
  if (id) return h("a", { href: "#campaigns" }, "All campaigns");
  return h("a", { className: "button", href: "#compose" }, "New message");
}

function signIn(problem = "") {
  current.abort();
  view.removeAttribute("aria-busy");
  nav.hidden = leave.hidden = true;
  document.body.classList.add("outside");
  document.title = "Sign in · pushcast console";
  const told = h("p", { className: "note bad", attr: { role: "alert" } }, problem);
  const input = h("input", { type: "password", id: "token", required: true, autocomplete: "current-password" });
  const button = h("button", { type: "submit" }, "Sign in");
  const enter = async (event) => {
    event.preventDefault();
    button.disabled = true;
    told.textContent = "";
    token.set(input.value.trim());
    try {
      await api.campaigns();
      first = false;
      show();
    } catch (error) {
      token.forget();
      told.textContent = error.message;
      button.disabled = false;
      input.focus();
    }
  };
  const where = h("span", { className: "hint" }, "pushcast serve keeps it in the file ", h("code", {}, "token"), " of its data folder.");
  view.replaceChildren(
    h(
      "section",
      { className: "card sign-in" },
      h("h1", {}, "Sign in"),
      h("form", { on: { submit: enter } }, field("API token", input, where), told, button),
    ),
  );
  input.focus();
}

// The address says which view is shown: the link that skips to it leaves it alone.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
leave.addEventListener("click", () => {
  token.forget();
  first = true;
  show();
});
addEventListener("hashchange", show);
show();
