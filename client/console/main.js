// The console: it shows the view that the address names, or asks for the API token.

import { api, token, Unauthorized } from "./api.js";
import { campaign } from "./campaign.js";
import { campaigns } from "./campaigns.js";
import { compose } from "./compose.js";
import { field, h } from "./dom.js";
import { schedules } from "./schedules.js";
import { subscribers } from "./subscribers.js";

const view = document.getElementById("view");
const nav = document.getElementById("nav");
const signOut = document.getElementById("leave");

const VIEWS = {
  subscribers: ["Subscribers", subscribers],
  compose: ["Compose", compose],
  campaigns: ["Campaigns", campaigns],
  schedules: ["Schedules", schedules],
};

/** Aborted when another view is shown. */
let current = new AbortController();
/** The browser itself announces a page that has just been loaded. */
let isFirstView = true;

function go(to) {
  if (location.hash === `#${to}`) show();
  else location.hash = to;
}

async function show() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  if (!token.get()) return signIn();
  const { title, link, make } = route(signal);
  const heading = h("h1", { tabIndex: -1 }, title);
  const top = h("div", { className: "top" }, heading, link);
  document.title = `${title} · pushcast console`;
  view.setAttribute("aria-busy", "true");
  try {
    const content = await make();
    if (signal.aborted) return;
    view.replaceChildren(top, ...content);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Unauthorized) return signIn(error.message);
    view.replaceChildren(top, failure(error));
  } finally {
    if (!signal.aborted) view.removeAttribute("aria-busy");
  }
  // A screen reader says what has the focus.
  if (!isFirstView) {
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  isFirstView = false;
}

/** The view that the address names: its title, the link beside it, and what makes its content. */
function route(signal) {
  const [name, id] = location.hash.slice(1).split("/");
  showNavigation(VIEWS[name] ? name : "subscribers");
  if (id && name === "campaigns") {
    const link = h("a", { href: "#campaigns" }, "All campaigns");
    return { title: "Campaign", link, make: () => campaign(decodeURIComponent(id), signal, signIn) };
  }
  const [title, make] = VIEWS[name] ?? VIEWS.subscribers;
  const link = name === "compose" ? null : h("a", { className: "button", href: "#compose" }, "New message");
  return { title, link, make: () => make(go) };
}

function showNavigation(name) {
  document.body.classList.remove("outside");
  nav.hidden = signOut.hidden = false;
  for (const link of nav.children) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function failure(error) {
  const problem = h("p", { className: "note bad", attr: { role: "alert" } }, error.message);
  const again = h("button", { className: "quiet slim", type: "button", on: { click: show } }, "Try again");
  return h("div", { className: "card stack" }, problem, h("div", {}, again));
}

function signIn(problem = "") {
  current.abort();
  view.removeAttribute("aria-busy");
  nav.hidden = signOut.hidden = true;
  document.body.classList.add("outside");
  document.title = "Sign in · pushcast console";
  const alert = h("p", { className: "note bad", attr: { role: "alert" } }, problem);
  const input = h("input", { type: "password", id: "token", required: true, autocomplete: "current-password" });
  const button = h("button", { type: "submit" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    alert.textContent = "";
    token.set(input.value.trim());
    try {
      await api.campaigns();
      isFirstView = false;
      show();
    } catch (error) {
      token.forget();
      alert.textContent = error.message;
      button.disabled = false;
      input.focus();
    }
  };
  const hint = h(
    "span",
    { className: "hint" },
    "pushcast serve keeps it in the file ",
    h("code", {}, "token"),
    " of its data folder.",
  );
  const form = h("form", { on: { submit } }, field("API token", input, hint), alert, button);
  view.replaceChildren(h("section", { className: "card sign-in" }, h("h1", {}, "Sign in"), form));
  input.focus();
}

// The address names the view, so this link moves the focus without changing the address.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
signOut.addEventListener("click", () => {
  token.forget();
  isFirstView = true;
  show();
});
addEventListener("hashchange", show);
show();
