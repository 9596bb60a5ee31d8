// The demo page: subscribe, choose tags, send yourself a test, see what arrived.

import { pushcast } from "./pushcast.js";

const find = (id) => document.getElementById(id);
const boxes = [...document.querySelectorAll("#tags input")];

const push = pushcast({ server: new URL(".", location.href), serviceWorker: "service-worker.js" });

/** To a server without a subject, Apple says only `BadJwtToken`. */
const NO_SUBJECT =
  "Refused by Safari's push service, which wants to know whom to write to. Set PUSHCAST_VAPID_SUBJECT=mailto:you@your.domain and start the server again.";

/** Since 18.4, Safari shows a message without the worker, unless it is `mutable`; and not every version heeds that. */
const DECLARATIVE = "Nothing yet. What the server sends is shown by your system; this browser may not tell the page.";

/** `patience` is in milliseconds. */
async function call(path, body, patience = 10_000) {
  const signal = AbortSignal.timeout(patience);
  let response, text;
  try {
    response = await fetch(path, { ...(body && { method: "POST", body: JSON.stringify(body) }), signal });
    text = await response.text();
  } catch {
    throw new Error(signal.aborted ? "The server takes too long to answer." : "The server cannot be reached.");
  }
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  if (!response.ok) throw new Error(json?.detail ?? `The server answers ${response.status}.`);
  if (!json) throw new Error("The server's answer makes no sense.");
  return json;
}

function say(element, text, kind = "") {
  element.textContent = text;
  if (element.classList.contains("note")) element.className = `note ${kind}`;
}

const STATES = {
  unsupported: ["Not here", "warn"],
  denied: ["Blocked", "bad"],
  prompt: ["Not subscribed", ""],
  subscribed: ["Subscribed", "good"],
};

async function show() {
  const state = await push.state();
  const [name, kind] = STATES[state];
  find("state").textContent = name;
  find("state").className = `pill ${kind}`;
  const subscribed = state === "subscribed";
  find("subscribe").hidden = subscribed;
  find("subscribe").disabled = !ready || state !== "prompt";
  find("unsubscribe").hidden = !subscribed;
  find("send").disabled = !subscribed;
  for (const box of boxes) box.disabled = !subscribed;
  find("explain").textContent = subscribed
    ? "This browser is subscribed. It hears from the server also when this page is closed."
    : "Your browser asks once whether this page may notify you.";
  if (push.why()) say(find("status"), push.why(), "warn");
}

const tags = () => boxes.filter((box) => box.checked).map((box) => box.value);

/** Runs what a click asks for, once at a time; its error is told where the click was. */
function working(button, told, work) {
  return async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      say(told, error.message, "bad");
    }
    button.disabled = false;
    await show();
  };
}

find("subscribe").addEventListener(
  "click",
  working(find("subscribe"), find("status"), async () => {
    say(find("status"), "");
    const { user, userSignature } = await visitor();
    const { count } = await push.subscribe({ tags: tags(), user, userSignature });
    say(find("status"), count === 1 ? "Subscribed: the first one here." : `Subscribed, as one of ${count}.`, "good");
    localStorage.setItem("tags", JSON.stringify(tags()));
  }),
);

find("unsubscribe").addEventListener(
  "click",
  working(find("unsubscribe"), find("status"), async () => {
    await push.unsubscribe();
    say(find("status"), "Unsubscribed. Nothing more will come.");
  }),
);

find("tags").addEventListener("change", async () => {
  try {
    await push.subscribe({ tags: tags() });
    localStorage.setItem("tags", JSON.stringify(tags()));
    say(find("saved"), tags().length ? `Saved: ${tags().join(", ")}.` : "Saved: no tags.");
  } catch (error) {
    say(find("saved"), error.message);
  }
});

find("test").addEventListener(
  "submit",
  working(find("send"), find("sent"), async () => {
    const { endpoint } = await push.subscription();
    const { title, text } = { title: find("title").value, text: find("text").value };
    const icon = new URL("icon.png", location.href).href;
    const notification = { title, body: text, icon, navigate: new URL(".", location.href).href };
    say(find("sent"), "Sending …");
    const { results } = await call("demo/send", { endpoint, notification }, 30_000);
    const [{ outcome, status, detail }] = results;
    if (outcome === "accepted") return say(find("sent"), `Accepted by the push service (${status}).`);
    const withoutSubject = detail?.includes("BadJwtToken") && !(await visitor()).hasSubject;
    say(find("sent"), withoutSubject ? NO_SUBJECT : `${outcome}: ${detail ?? status ?? ""}`);
  }),
);

navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (data?.type !== "pushcast") return;
  const item = document.createElement("li");
  const add = (tag, properties) => item.append(Object.assign(document.createElement(tag), properties));
  add("img", { src: "icon.svg", alt: "" });
  add("strong", { textContent: data.title });
  const now = new Date();
  add("time", { textContent: now.toLocaleTimeString(), dateTime: now.toISOString() });
  add("span", { textContent: data.body ?? "" });
  find("nothing").hidden = true;
  find("arrived").prepend(item);
});

let ready = false;
let asked;

/** Who subscribes here, asked for again if it failed. */
function visitor() {
  asked ??= call("demo-visitor").catch((error) => {
    asked = undefined;
    throw error;
  });
  return asked;
}

if ("pushManager" in window) find("nothing").textContent = DECLARATIVE;
find("origin").textContent = location.origin;
const chosen = JSON.parse(localStorage.getItem("tags") ?? "null");
if (chosen) for (const box of boxes) box.checked = chosen.includes(box.value);
await show();
// Who the visitor is, is known before the button can be clicked: within a click there is no time to lose.
await visitor().catch(() => {});
ready = true;
await show();
await push.visited;
await show();
