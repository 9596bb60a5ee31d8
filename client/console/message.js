// A message: what the form says, as the API wants it; its size; how it looks.

import { h, number } from "./dom.js";

/** What push services take, once it is encrypted: 4096 bytes (RFC 8291). */
export const MOST = 3993;

/** The form's values as members of a message. Throws an `Error` in words where JSON is wrong. */
export function messageOf(values) {
  const message = {};
  if (values.kind === "data") {
    message.data = dataOf(values.data);
  } else {
    const { title, body, navigate, icon, image } = values;
    const notification = { title, navigate };
    for (const [name, value] of Object.entries({ body, icon, image, tag: values.tag })) {
      if (value) notification[name] = value;
    }
    if (values.requireInteraction) notification.requireInteraction = true;
    const actions = [1, 2]
      .map((i) => ({ action: `action-${i}`, title: values[`action${i}`], navigate: values[`action${i}link`] || navigate }))
      .filter((action) => action.title);
    if (actions.length) notification.actions = actions;
    message.notification = notification;
    if (values.badge !== "") message.app_badge = Number(values.badge);
  }
  if (values.ttl !== "") message.ttl = Number(values.ttl);
  if (values.urgency) message.urgency = values.urgency;
  if (values.topic) message.topic = values.topic;
  if (values.rate) message.rate = Number(values.rate);
  return message;
}

function dataOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Bytes of the payload, before encryption: what the server will make of it. */
export function sizeOf(message) {
  const { data, notification, app_badge } = message;
  const payload =
    notification === undefined
      ? data
      : { web_push: 8030, notification, ...(app_badge !== undefined && { app_badge }) };
  return new TextEncoder().encode(typeof payload === "string" ? payload : JSON.stringify(payload)).length;
}

/** As it will look, roughly: every system has its own way. Pictures are not loaded: the console asks nobody else. */
export function preview(message) {
  const { notification, data } = message;
  if (!notification) {
    const text = typeof data === "string" ? data : JSON.stringify(data, null, 2);
    return h("div", { className: "preview" }, h("div", { className: "bubble" }, h("pre", { tabIndex: 0, attr: { "aria-label": "Data" } }, text || "Nothing yet")));
  }
  const { title, body, navigate, icon, image, actions = [] } = notification;
  let host = "your site";
  try {
    host = new URL(navigate).host || host;
  } catch {
    // While it is being typed.
  }
  const letter = (host.replace(/^www\./, "")[0] ?? "?").toUpperCase();
  return h(
    "div",
    { className: "preview" },
    h(
      "div",
      { className: "bubble" },
      h("span", { className: "icon", title: icon ?? "", attr: { "aria-hidden": "true" } }, letter),
      h("span", { className: "from" }, `${host} · now`),
      h("span", { className: "title" }, title || "Title"),
      h("span", { className: "body" }, body ?? ""),
      image && h("div", { className: "picture" }, `Image: ${image.split("/").at(-1)}`),
      actions.length > 0 && h("div", { className: "buttons" }, actions.map((action) => h("span", {}, action.title))),
    ),
  );
}

export function sizeMeter(size) {
  const over = size > MOST;
  const bar = h("i", { className: over ? "over" : "" });
  bar.style.width = `${Math.min((100 * size) / MOST, 100)}%`;
  return h(
    "div",
    { className: "size" },
    h(
      "div",
      {},
      h("span", { className: "soft" }, "Size"),
      h("span", {}, over ? `${number(size - MOST)} bytes too many` : `${number(size)} of ${number(MOST)} bytes`),
    ),
    h("div", { className: "track", attr: { "aria-hidden": "true" } }, bar),
  );
}
