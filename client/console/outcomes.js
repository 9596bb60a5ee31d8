// What push services answered to the messages of a campaign: bars and a table.

import { track } from "./charts.js";
import { h, number, SERVICES } from "./dom.js";
import { messagesIn, notAccepted } from "./progress.js";

/** The parts of a bar: class, name, count. */
const OUTCOMES = [
  ["accepted", "Accepted", (counts) => counts.accepted],
  ["retrying", "To be tried again", (counts) => counts.retrying],
  ["gone", "No longer subscribed", (counts) => counts.gone],
  ["lost", "Not accepted", notAccepted],
];

/** The columns of the table. */
const COLUMNS = {
  accepted: "Accepted",
  gone: "Gone",
  mismatched: "Another key",
  too_large: "Too large",
  refused: "Refused",
  failed: "Given up",
  retrying: "Trying again",
};

const withMessages = (services) => Object.entries(services).filter(([, counts]) => messagesIn(counts) > 0);

/** A legend, and a bar for each push service. */
export function outcomeBars(services = {}) {
  const bar = ([service, counts]) => {
    const total = messagesIn(counts);
    const parts = OUTCOMES.map(([kind, , count]) => [kind, count(counts) ?? 0]);
    return h(
      "li",
      {},
      h("b", {}, SERVICES[service] ?? service),
      h("span", {}, h("strong", {}, number(counts.accepted)), ` of ${number(total)}`),
      track(parts, total),
    );
  };
  const legend = OUTCOMES.map(([kind, name]) => h("li", {}, track([[kind, 1]], 1), name));
  return [h("ul", { className: "legend" }, legend), h("ul", { className: "bars" }, withMessages(services).map(bar))];
}

/** The same in numbers. A column without a number is left out. */
export function outcomeTable(services = {}) {
  const rows = withMessages(services);
  const isUsed = (name) => name === "accepted" || rows.some(([, counts]) => counts[name] > 0);
  const columns = Object.entries(COLUMNS).filter(([name]) => isUsed(name));
  const head = columns.map(([, text]) => h("th", { scope: "col", className: "number" }, text));
  const row = ([service, counts]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, SERVICES[service] ?? service),
      columns.map(([name]) => h("td", { className: "number" }, number(counts[name]))),
    );
  return h(
    "table",
    {},
    h("caption", { className: "visually-hidden" }, "Outcomes by push service"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Push service"), head)),
    h("tbody", {}, rows.map(row)),
  );
}
