// The view "Schedules": what will be sent, and when.

import { api } from "./api.js";
import { announce, confirm, h, when } from "./dom.js";

export async function schedules(go) {
  const { schedules: all } = await api.schedules();
  if (!all.length) return [noSchedules()];
  const problem = h("p", { className: "note bad", attr: { role: "alert" } });
  const remove = async (name) => {
    const text = "It will not be sent any more. Campaigns that it has started continue.";
    if (!(await confirm(`Delete “${name}”?`, text, "Delete", true))) return;
    try {
      await api.unschedule(name);
      announce("Deleted.");
      go("schedules");
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  return [h("div", { className: "card stack" }, problem, table(all, remove))];
}

function noSchedules() {
  return h(
    "div",
    { className: "card empty" },
    h("h2", {}, "Nothing is scheduled"),
    h("p", {}, "A message can be sent once at a later time, or repeatedly."),
    h("a", { className: "button", href: "#compose" }, "Compose one"),
  );
}

function table(all, remove) {
  const head = ["Schedule", "When", "Audience", "Next"].map((text) => h("th", { scope: "col" }, text));
  const buttons = h("th", { scope: "col" }, h("span", { className: "visually-hidden" }, "Delete"));
  return h(
    "table",
    { className: "cards" },
    h("caption", { className: "visually-hidden" }, "Schedules"),
    h("thead", {}, h("tr", {}, head, buttons)),
    h(
      "tbody",
      {},
      all.map((schedule) => row(schedule, remove)),
    ),
  );
}

function row({ name, expression, timezone, message, next }, remove) {
  const title = message?.notification?.title ?? "Data";
  const click = () => remove(name);
  const label = { "aria-label": `Delete ${name}` };
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name, h("div", { className: "soft small" }, title)),
    h("td", { className: "expression whole" }, h("code", {}, expression), h("div", { className: "soft small" }, timezone)),
    h("td", { className: "expression", attr: { "data-label": "To" } }, h("code", {}, message?.to?.audience ?? "")),
    h("td", { attr: { "data-label": "Next" } }, next ? when(next) : "not again"),
    h(
      "td",
      { className: "number" },
      h("button", { className: "danger slim", type: "button", attr: label, on: { click } }, "Delete"),
    ),
  );
}
