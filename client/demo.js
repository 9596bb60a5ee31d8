// The demo page: subscribe, choose tags, send yourself a test, see what arrived.

import { pushcast } from "./pushcast.js";

const find = (id) => document.getElementById(id);
const boxes = [...document.querySelectorAll("#tags input")];

const push = pushcast({ server: new URL(".", location.href), serviceWorker: "service-worker.js" });

/** What to do when Apple answers `BadJwtToken`: it says so of every token without a subject. */
const NO_SUBJECT =
  "Refused by Safari's push service, which needs a contact address. Set PUSHCAST_VAPID_SUBJECT=mailto:you@your.domain and start the server again.";

/** Safari 18.4 and later show a message without the worker; with `mutable`, only some versions ask the worker first. */
const DECLARATIVE = "Nothing yet. Your system shows what the server sends; this browser may not tell the page.";

/** `timeout` is in milliseconds. */
async function call(path, body, timeout = 10_000) {
  const { response, text } = await exchange(path, body, timeout);
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

async function exchange(path, body, timeout) {
  const signal = AbortSignal.timeout(timeout);
  try {
    const response = await fetch(path, { ...(body && { method: "POST", body: JSON.stringify(body) }), signal });
    return { response, text: await response.text() };
  } catch {
    throw new Error(signal.aborted ? "The server takes too long to answer." : "The server cannot be reached.");
  }
}

function say(element, text, kind = "") {
  element.textContent = text;
  if (element.classList.contains("note")) element.className = `note ${kind}`;
}

const STATES = {
  unsupported: ["Not supported", "warn"],
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
  find("subscribe").disabled = !visitorKnown || state !== "prompt";
  find("unsubscribe").hidden = !subscribed;
  find("send").disabled = !subscribed;
  for (const box of boxes) box.disabled = !subscribed;
  find("explain").textContent = subscribed
    ? "This browser is subscribed. Notifications arrive even when this page is closed."
    : "Your browser asks once whether this page may notify you.";
  if (push.why()) say(find("status"), push.why(), "warn");
}

const tags = () => boxes.filter((box) => box.checked).map((box) => box.value);

/** Handles a click on `button`, which is disabled meanwhile; an error is written into `output`. */
function handler(button, output, work) {
  return async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      say(output, error.message, "bad");
    }
    button.disabled = false;
    await show();
  };
}

find("subscribe").addEventListener(
  "click",
  handler(find("subscribe"), find("status"), async () => {
    say(find("status"), "");
    const { user, userSignature } = await visitor();
    const { count } = await push.subscribe({ tags: tags(), user, userSignature });
    say(find("status"), count === 1 ? "Subscribed: the first one here." : `Subscribed, as one of ${count}.`, "good");
    localStorage.setItem("tags", JSON.stringify(tags()));
  }),
);

find("unsubscribe").addEventListener(
  "click",
  handler(find("unsubscribe"), find("status"), async () => {
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
  handler(find("send"), find("sent"), async () => {
    const { endpoint } = await push.subscription();
    const [title, body] = [find("title").value, find("text").value];
    const icon = new URL("icon.png", location.href).href;
    const notification = { title, body, icon, navigate: new URL(".", location.href).href };
    say(find("sent"), "Sending …");
    const { results } = await call("demo/send", { endpoint, notification }, 30_000);
    const [{ outcome, status, detail }] = results;
    if (outcome === "accepted") return say(find("sent"), `Accepted by the push service (${status}).`);
    const lacksSubject = detail?.includes("BadJwtToken") && !(await visitor()).hasSubject;
    say(find("sent"), lacksSubject ? NO_SUBJECT : `${outcome}: ${detail ?? status ?? ""}`);
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

let visitorKnown = false;
let visitorRequest;

/** The signed user of this page's visitors; asked for again if the server failed. */
function visitor() {
  visitorRequest ??= call("demo-visitor").catch((error) => {
    visitorRequest = undefined;
    throw error;
  });
  return visitorRequest;
}

if ("pushManager" in window) find("nothing").textContent = DECLARATIVE;
find("origin").textContent = location.origin;
const chosen = JSON.parse(localStorage.getItem("tags") ?? "null");
if (chosen) for (const box of boxes) box.checked = chosen.includes(box.value);
await show();
// The button is enabled when the visitor is known: a click that waited for the server could no longer ask for permission.
await visitor().catch(() => {});
visitorKnown = true;
await show();
await push.visited;
await show();
