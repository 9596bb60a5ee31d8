// Schedules: what will be sent, and when.

import { api } from "./api.js";
import { announce, confirm, h, when } from "./dom.js";

export async function schedules(go) {
  const { schedules: all } = await api.schedules();
  if (!all.length) {
    return [
      h(
        "div",
        { className: "card empty" },
        h("h2", {}, "Nothing is scheduled"),
        h("p", {}, "A message may go out once, later, or again and again."),
        h("a", { className: "button", href: "#compose" }, "Compose one"),
      ),
    ];
  }
  const problem = h("p", { className: "note bad", attr: { role: "alert" } });
  const remove = (name) => async () => {
    if (!(await confirm(`Delete “${name}”?`, "It will not be sent any more. Campaigns that it has begun go on.", "Delete", true))) return;
    try {
      await api.unschedule(name);
      announce("Deleted.");
      go("schedules");
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  const row = ({ name, expression, timezone, message, next }) => {
    const what = message?.notification?.title ?? "Data";
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, name, h("div", { className: "soft small" }, what)),
      h("td", { className: "expression whole" }, h("code", {}, expression), h("div", { className: "soft small" }, timezone)),
      h("td", { className: "expression", attr: { "data-label": "To" } }, h("code", {}, message?.to?.audience ?? "")),
      h("td", { attr: { "data-label": "Next" } }, next ? when(next) : "not again"),
      h("td", { className: "number" }, h("button", { className: "danger slim", type: "button", attr: { "aria-label": `Delete ${name}` }, on: { click: remove(name) } }, "Delete")),
    );
  };
  const head = ["Schedule", "When", "Audience", "Next"].map((text) => h("th", { scope: "col" }, text));
  return [
    h(
      "div",
      { className: "card stack" },
      problem,
      h(
        "table",
        { className: "cards" },
        h("caption", { className: "visually-hidden" }, "Schedules"),
        h("thead", {}, h("tr", {}, head, h("th", { scope: "col" }, h("span", { className: "visually-hidden" }, "Delete")))),
        h("tbody", {}, all.map(row)),
      ),
    ),
  ];
}
