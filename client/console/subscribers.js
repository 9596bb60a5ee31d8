// The view "Subscribers": how many there are, their push services, their tags, and how their number grows.

import { api } from "./api.js";
import { bars } from "./charts.js";
import { figure, h, number, SERVICES } from "./dom.js";
import { growth } from "./growth.js";

const MAX_TAGS = 12;

export async function subscribers() {
  const { count, services = {}, tags = {}, tags_exact: exact = true, days = [] } = await api.stats();
  if (!count && !days.length) return [nobody()];
  return [
    h(
      "div",
      { className: "stack" },
      figures(count, days, Object.keys(tags).length, exact),
      days.length > 1 && card("growth", h("h2", { id: "growth" }, "Growth"), growth(days)),
      h("div", { className: "grid" }, servicesCard(services, count), tagsCard(tags, exact, count)),
    ),
  ];
}

function nobody() {
  return h(
    "div",
    { className: "card empty" },
    h("h2", {}, "Nobody is subscribed yet"),
    h("p", {}, "The first subscriber comes from the demo page of this server, or from a button on your site."),
  );
}

/** A card named by its heading, which has the id `heading`. */
const card = (heading, ...content) => h("section", { className: "card", attr: { "aria-labelledby": heading } }, ...content);

function figures(count, days, tags, exact) {
  const total = (name) => days.slice(-30).reduce((sum, day) => sum + (day[name] ?? 0), 0);
  return h(
    "dl",
    { className: "card figures" },
    figure("Subscribers", number(count)),
    figure("New", `+${number(total("new"))}`, "30 days"),
    figure("Gone", number(total("gone")), "30 days"),
    figure("Tags", number(tags), exact ? "" : "or more"),
  );
}

function servicesCard(services, count) {
  const named = mostFirst(services).map(([service, n]) => [SERVICES[service] ?? service, n]);
  return card("services", h("h2", { id: "services" }, "By push service"), bars(named, count));
}

function tagsCard(tags, exact, count) {
  const all = mostFirst(tags);
  const notes = [all.length > MAX_TAGS && `the first ${MAX_TAGS} of ${number(all.length)}`, !exact && "estimated from a sample"];
  const note = notes.filter(Boolean).join(", ");
  const none = h("p", { className: "soft" }, "Nobody has chosen a tag.");
  return card(
    "tags",
    h("div", { className: "head" }, h("h2", { id: "tags" }, "By tag"), note && h("span", { className: "small soft" }, note)),
    all.length ? bars(all.slice(0, MAX_TAGS), count, !exact) : none,
  );
}

function mostFirst(counts) {
  return Object.entries(counts)
    .filter(([, n]) => n > 0)
    .sort(([, a], [, b]) => b - a);
}
