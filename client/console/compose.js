// Composing: a message, whom it reaches, and when.

import { api } from "./api.js";
import { announce, confirm, field, h, number, plural } from "./dom.js";
import { messageOf, MOST, preview, sizeMeter, sizeOf } from "./message.js";

const DRAFT = "pushcast-draft";
const TRIED = "pushcast-tried";
const DAY = 24 * 60 * 60 * 1000;
const PAUSE = 300;

const input = (name, properties = {}, tag = "input") => h(tag, { name, id: `compose-${name}`, ...properties });
const option = (value, text) => h("option", { value }, text);

export async function compose(go) {
  // Without figures there are no tags to choose from, and all else works.
  const { tags = {}, tags_exact } = await api.stats().catch(() => ({}));
  const shown = h("div", { attr: { "aria-live": "off" } });
  const reach = h("div", { className: "reach", attr: { "aria-live": "polite" } });
  const problem = h("p", { className: "note bad", attr: { role: "alert" } });
  const submit = h("button", { type: "submit", id: "compose-submit" }, "Send");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  const title = input("title", { required: true, maxLength: 500, placeholder: "Doors open at seven", autocomplete: "off" });
  const body = input("body", { rows: 3, maxLength: 3900, placeholder: "What it is about, in a sentence or two" }, "textarea");
  const link = { type: "url", placeholder: "https://www.example.org/page", autocomplete: "off" };
  const notification = h(
    "div",
    { className: "stack close" },
    field("Title", title),
    field("Text", body),
    field("Link", input("navigate", { ...link, required: true }), "The page that a click opens."),
    h(
      "details",
      {},
      h("summary", {}, "Pictures, buttons and more"),
      h(
        "div",
        { className: "stack close" },
        h("div", { className: "pair" }, field("Icon", input("icon", link)), field("Image", input("image", link))),
        h("div", { className: "pair" }, field("First button", input("action1")), field("Its link", input("action1link", link))),
        h("div", { className: "pair" }, field("Second button", input("action2")), field("Its link too", input("action2link", link))),
        h(
          "div",
          { className: "pair" },
          field("Tag", input("tag"), "Takes the place of a notification with the same tag."),
          field("Number on the app", input("badge", { type: "number", min: 0, step: 1 })),
        ),
        h("label", { className: "chip" }, input("requireInteraction", { type: "checkbox" }), "Stays until it is dismissed"),
      ),
    ),
  );
  const data = h(
    "div",
    { hidden: true },
    field("Data", input("data", { rows: 7, className: "mono", placeholder: '{ "unread": 3 }' }, "textarea"), "JSON or text, for a service worker of your own."),
  );
  const audience = input("audience", { value: "all", required: true, className: "mono", autocomplete: "off", spellcheck: false, attr: { autocapitalize: "none" } });
  const known = Object.entries(tags).sort(([, a], [, b]) => b - a).slice(0, 16);
  const insert = (tag) => () => {
    const text = audience.value.trim();
    audience.value = !text || text === "all" ? tag : `${text} && ${tag}`;
    audience.dispatchEvent(new Event("input", { bubbles: true }));
    audience.focus();
  };
  const name = input("name", { pattern: "[A-Za-z0-9_.\\-]{1,64}", placeholder: "weekly-news", autocomplete: "off" });
  const at = input("at", { type: "datetime-local", step: 60 });
  const expression = input("expression", { className: "mono", placeholder: "cron(0 9 ? * MON *)", autocomplete: "off" });
  const timezone = input("timezone", { value: zone, autocomplete: "off" });
  const later = h(
    "div",
    { className: "stack close", hidden: true },
    h("div", { className: "pair" }, field("Name of the schedule", name), field("Time zone", timezone)),
    h(
      "div",
      { className: "pair" },
      field("Once, at", at),
      field("Or again and again", expression, "cron(..) or rate(..), as EventBridge Scheduler has them."),
    ),
  );

  const form = h(
    "form",
    { className: "compose", noValidate: false, on: { submit: send } },
    h(
      "div",
      { className: "stack" },
      h(
        "section",
        { className: "card stack", attr: { "aria-labelledby": "compose-message" } },
        h("h2", { id: "compose-message" }, "Message"),
        segmented("kind", "Kind of message", [["notification", "Notification"], ["data", "Data"]]),
        notification,
        data,
      ),
      h(
        "section",
        { className: "card stack close", attr: { "aria-labelledby": "compose-audience-title" } },
        h("h2", { id: "compose-audience-title" }, "Audience"),
        field("Tags", audience, "all, or an expression: news && !(sports || beta)"),
        known.length > 0 &&
          h(
            "div",
            { className: "tags", attr: { role: "group", "aria-label": "Tags to add" } },
            known.map(([tag, n]) =>
              h("button", { type: "button", className: "quiet", title: (tags_exact ? "" : "about ") + plural(n, "subscriber", "subscribers"), on: { click: insert(tag) } }, tag),
            ),
          ),
        reach,
      ),
      h(
        "section",
        { className: "card stack", attr: { "aria-labelledby": "compose-when" } },
        h("h2", { id: "compose-when" }, "When"),
        segmented("time", "When", [["now", "Now"], ["later", "On a schedule"]]),
        later,
        h(
          "details",
          {},
          h("summary", {}, "Delivery"),
          h(
            "div",
            { className: "stack close" },
            h(
              "div",
              { className: "pair" },
              field("Kept for a device that is away", input("ttl", { type: "number", min: 0, max: 2147483647, placeholder: "2419200" }), "Seconds; four weeks if left empty."),
              field("Urgency", h("select", { name: "urgency", id: "compose-urgency" }, option("", "Normal"), option("high", "High"), option("low", "Low"), option("very-low", "Very low"))),
            ),
            h(
              "div",
              { className: "pair" },
              field("Topic", input("topic", { pattern: "[A-Za-z0-9_\\-]{1,32}", autocomplete: "off" }), "Takes the place of one not delivered yet."),
              field("At most", input("rate", { type: "number", min: 1, max: 1000000 }), "Messages a second; as fast as it goes if left empty."),
            ),
          ),
        ),
        problem,
        h("div", { className: "actions" }, submit),
      ),
    ),
    h("aside", { className: "card", attr: { "aria-labelledby": "compose-preview" } }, h("h2", { id: "compose-preview" }, "Preview"), shown),
  );

  function segmented(name, label, choices) {
    const radio = ([value, text], i) =>
      h("label", {}, h("input", { type: "radio", name, value, checked: i === 0, id: `compose-${name}-${value}` }), text);
    return h("div", {}, h("div", { className: "segmented", attr: { role: "radiogroup", "aria-label": label } }, choices.map(radio)));
  }

  function values() {
    const all = Object.fromEntries(new FormData(form));
    return { ...all, requireInteraction: form.elements.requireInteraction.checked };
  }

  let message;
  let sending = false;
  function update() {
    const now = values();
    const isData = now.kind === "data";
    notification.hidden = isData;
    data.hidden = !isData;
    later.hidden = now.time !== "later";
    for (const [part, on] of [[notification, !isData], [data, isData], [later, now.time === "later"]]) {
      for (const control of part.querySelectorAll("input, textarea, select")) control.disabled = !on;
    }
    form.elements.data.required = isData;
    name.required = timezone.required = now.time === "later";
    message = messageOf({ ...blank, ...values() });
    const size = sizeOf(message);
    shown.replaceChildren(preview(message), sizeMeter(size));
    submit.disabled = sending || size > MOST;
    submit.textContent = now.time === "later" ? "Schedule …" : "Send …";
    sessionStorage.setItem(DRAFT, JSON.stringify(values()));
  }

  let asked = 0;
  let reached;
  async function estimate() {
    const mine = ++asked;
    reached = undefined;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (mine !== asked) return;
    try {
      const answer = await api.audience(audience.value.trim());
      if (mine !== asked) return;
      reached = answer;
      audience.removeAttribute("aria-invalid");
      const about = answer.exact ? "" : "about ";
      reach.replaceChildren(
        h("span", { className: "soft" }, `Reaches ${about}`.trim()),
        h("strong", {}, number(answer.subscribers)),
        h("span", { className: "soft" }, answer.subscribers === 1 ? "subscriber" : "subscribers"),
      );
    } catch (error) {
      if (mine !== asked) return;
      const wrong = error.status === 400;
      audience.toggleAttribute("aria-invalid", false);
      if (wrong) audience.setAttribute("aria-invalid", "true");
      reach.replaceChildren(h("p", { className: wrong ? "note bad" : "note" }, wrong ? error.message : "How many it reaches is not known."));
    }
  }

  async function send(event) {
    event.preventDefault();
    problem.textContent = "";
    const { time } = values();
    const whom = reached
      ? `${reached.exact ? "" : "about "}${plural(reached.subscribers, "subscriber", "subscribers")}`
      : `everyone in “${audience.value.trim()}”`;
    const what = message.notification ? `“${message.notification.title}”` : "The data";
    const order = { to: { audience: audience.value.trim() }, ...message };
    // Whoever goes to another view meanwhile has another form when they come back: this one touches nothing then.
    const left = () => !form.isConnected;
    try {
      if (time === "later") {
        const schedule = { name: name.value, expression: expressionOf(), timezone: timezone.value };
        const sure = await confirm("Schedule it?", `${what} goes to ${whom}: ${schedule.expression}, ${schedule.timezone}.`, "Schedule");
        if (!sure || left()) return;
        hold(true);
        await api.schedule({ ...schedule, message: order });
        announce("Scheduled.");
        if (left()) return;
        sessionStorage.removeItem(DRAFT);
        return go("schedules");
      }
      const id = idOf(order);
      const sure = await confirm(`Send to ${whom}?`, `${what} goes out at once. What has arrived cannot be taken back.`, "Send now");
      if (!sure || left()) return;
      hold(true);
      const { campaign } = await api.send({ id, ...order });
      arrived(id);
      announce("Sending.");
      if (left()) return;
      sessionStorage.removeItem(DRAFT);
      go(`campaigns/${encodeURIComponent(campaign)}`);
    } catch (error) {
      if (left()) return announce(error.message);
      problem.textContent = error.message;
      hold(false);
      const wrong = form.elements[(error.field ?? "").split(".").at(-1)];
      (wrong?.focus ? wrong : submit).focus();
    }
  }

  function hold(on) {
    sending = on;
    update();
  }

  function expressionOf() {
    if (expression.value.trim()) return expression.value.trim();
    if (!at.value) throw new Error("Say when: once, at a time, or again and again by an expression.");
    return `at(${at.value.length === 16 ? `${at.value}:00` : at.value})`;
  }

  const blank = { title: "", body: "", navigate: "", badge: "", ttl: "", data: "" };
  restore(form);
  form.addEventListener("input", update);
  audience.addEventListener("input", estimate);
  update();
  estimate();
  return [form];
}

/** The same order again is the same campaign, for a day: the answer to the first may be lost, and the campaign under way. */
function idOf(order) {
  const text = JSON.stringify(order);
  const tried = JSON.parse(sessionStorage.getItem(TRIED) ?? "{}");
  if (tried.text === text && Date.now() - tried.at < DAY) return tried.id;
  // `randomUUID` is not to be had over http.
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem(TRIED, JSON.stringify({ text, id, at: Date.now() }));
  return id;
}

/** The next order is a campaign of its own, be it the same. */
function arrived(id) {
  const tried = JSON.parse(sessionStorage.getItem(TRIED) ?? "{}");
  if (tried.id === id) sessionStorage.removeItem(TRIED);
}

/** What was typed before survives another view, and a reload. */
function restore(form) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}");
  for (const [name, value] of Object.entries(draft)) {
    const control = form.elements[name];
    if (!control) continue;
    if (control.type === "checkbox") control.checked = value;
    else control.value = value;
  }
}
