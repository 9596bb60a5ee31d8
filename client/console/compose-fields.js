// The fields of the form in compose.js. `messageOf` in message.js reads them by name.

import { field, h } from "./dom.js";

const LINK = { type: "url", placeholder: "https://www.example.org/page", autocomplete: "off" };

export const control = (name, properties = {}, tag = "input") => h(tag, { name, id: `compose-${name}`, ...properties });
const option = (value, text) => h("option", { value }, text);
const pair = (...fields) => h("div", { className: "pair" }, ...fields);
const more = (title, ...fields) => h("details", {}, h("summary", {}, title), h("div", { className: "stack close" }, ...fields));

/** Radio buttons side by side; the first one is chosen. */
export function segmented(name, label, choices) {
  const radio = ([value, text], i) =>
    h("label", {}, h("input", { type: "radio", name, value, checked: i === 0, id: `compose-${name}-${value}` }), text);
  const group = { className: "segmented", attr: { role: "radiogroup", "aria-label": label } };
  return h("div", {}, h("div", group, choices.map(radio)));
}

export function notificationFields() {
  const title = { required: true, maxLength: 500, placeholder: "Doors open at seven", autocomplete: "off" };
  const body = { rows: 3, maxLength: 3900, placeholder: "What it is about, in a sentence or two" };
  return h(
    "div",
    { className: "stack close" },
    field("Title", control("title", title)),
    field("Text", control("body", body, "textarea")),
    field("Link", control("navigate", { ...LINK, required: true }), "The page that a click opens."),
    more(
      "Pictures, buttons and more",
      pair(field("Icon", control("icon", LINK)), field("Image", control("image", LINK))),
      pair(field("First button", control("action1")), field("Link of the first button", control("action1link", LINK))),
      pair(field("Second button", control("action2")), field("Link of the second button", control("action2link", LINK))),
      pair(
        field("Tag", control("tag"), "Replaces a notification with the same tag."),
        field("Number on the app icon", control("badge", { type: "number", min: 0, step: 1 })),
      ),
      h("label", { className: "chip" }, control("requireInteraction", { type: "checkbox" }), "Stays until it is dismissed"),
    ),
  );
}

export function dataFields() {
  const data = { rows: 7, className: "mono", placeholder: '{ "unread": 3 }' };
  return h("div", {}, field("Data", control("data", data, "textarea"), "JSON or text, for your own service worker."));
}

export function scheduleFields() {
  const name = { pattern: "[A-Za-z0-9_.\\-]{1,64}", placeholder: "weekly-news", autocomplete: "off" };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const expression = { className: "mono", placeholder: "cron(0 9 ? * MON *)", autocomplete: "off" };
  return h(
    "div",
    { className: "stack close" },
    pair(
      field("Name of the schedule", control("name", name)),
      field("Time zone", control("timezone", { value: zone, autocomplete: "off" })),
    ),
    pair(
      field("Once, at", control("at", { type: "datetime-local", step: 60 })),
      field("Or repeatedly", control("expression", expression), "A cron(..) or rate(..) expression of EventBridge Scheduler."),
    ),
  );
}

export function deliveryFields() {
  const ttl = { type: "number", min: 0, max: 2147483647, placeholder: "2419200" };
  const urgencies = [option("", "Normal"), option("high", "High"), option("low", "Low"), option("very-low", "Very low")];
  const topic = { pattern: "[A-Za-z0-9_\\-]{1,32}", autocomplete: "off" };
  return more(
    "Delivery",
    pair(
      field(
        "Time to live",
        control("ttl", ttl),
        "Seconds that a push service keeps it for an offline device; four weeks if empty.",
      ),
      field("Urgency", h("select", { name: "urgency", id: "compose-urgency" }, ...urgencies)),
    ),
    pair(
      field("Topic", control("topic", topic), "Replaces an undelivered message with the same topic."),
      field("Rate limit", control("rate", { type: "number", min: 1, max: 1000000 }), "Messages a second; no limit if empty."),
    ),
  );
}
