// A message: from the form's values to what the API takes, its size, and a preview.

import { h, number } from "./dom.js";

/** Bytes. A push service takes 4096 encrypted bytes (RFC 8291, section 4), of which 103 are not payload. */
export const MAX_PAYLOAD = 3993;

/** The body of `POST push/send`, without its `to`. */
export function messageOf(values) {
  const content = values.kind === "data" ? { data: dataOf(values.data) } : notificationOf(values);
  const { ttl, urgency, topic, rate } = values;
  return {
    ...content,
    ...(ttl !== "" && { ttl: Number(ttl) }),
    ...(urgency && { urgency }),
    ...(topic && { topic }),
    ...(rate && { rate: Number(rate) }),
  };
}

function dataOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function notificationOf(values) {
  const { title, body, navigate, icon, image, tag, requireInteraction, badge } = values;
  const notification = { title, navigate };
  for (const [name, value] of Object.entries({ body, icon, image, tag, requireInteraction })) {
    if (value) notification[name] = value;
  }
  const actions = [1, 2]
    .map((i) => ({ action: `action-${i}`, title: values[`action${i}`], navigate: values[`action${i}link`] || navigate }))
    .filter((action) => action.title);
  if (actions.length) notification.actions = actions;
  return { notification, ...(badge !== "" && { app_badge: Number(badge) }) };
}

/** Bytes of the payload as the server writes it, before encryption. */
export function sizeOf({ data, notification, app_badge }) {
  const declarative = { web_push: 8030, notification, ...(app_badge !== undefined && { app_badge }) };
  const payload = notification === undefined ? data : declarative;
  return new TextEncoder().encode(typeof payload === "string" ? payload : JSON.stringify(payload)).length;
}

/** Roughly what a system shows. Pictures are not loaded, because the console sends requests to its own server only. */
export function preview({ notification, data }) {
  const bubble = notification ? notificationBubble(notification) : dataBubble(data);
  return h("div", { className: "preview" }, h("div", { className: "bubble" }, bubble));
}

function dataBubble(data) {
  const text = typeof data === "string" ? data : JSON.stringify(data, null, 2);
  return h("pre", { tabIndex: 0, attr: { "aria-label": "Data" } }, text || "Nothing yet");
}

function notificationBubble({ title, body, navigate, icon, image, actions = [] }) {
  const host = hostOf(navigate);
  const letter = (host.replace(/^www\./, "")[0] ?? "?").toUpperCase();
  const buttons = actions.map((action) => h("span", {}, action.title));
  return [
    h("span", { className: "icon", title: icon ?? "", attr: { "aria-hidden": "true" } }, letter),
    h("span", { className: "from" }, `${host} · now`),
    h("span", { className: "title" }, title || "Title"),
    h("span", { className: "body" }, body ?? ""),
    image && h("div", { className: "picture" }, `Image: ${image.split("/").at(-1)}`),
    buttons.length > 0 && h("div", { className: "buttons" }, buttons),
  ];
}

/** While the link is being typed, it may not be a URL yet. */
function hostOf(link) {
  try {
    return new URL(link).host || "your site";
  } catch {
    return "your site";
  }
}

export function sizeMeter(size) {
  const isOver = size > MAX_PAYLOAD;
  const bar = h("i", { className: isOver ? "over" : "" });
  bar.style.width = `${Math.min((100 * size) / MAX_PAYLOAD, 100)}%`;
  const text = isOver ? `${number(size - MAX_PAYLOAD)} bytes too many` : `${number(size)} of ${number(MAX_PAYLOAD)} bytes`;
  return h(
    "div",
    { className: "size" },
    h("div", {}, h("span", { className: "soft" }, "Size"), h("span", {}, text)),
    h("div", { className: "track", attr: { "aria-hidden": "true" } }, bar),
  );
}
