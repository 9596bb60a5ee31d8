// Who is subscribed: how many, through which push services, with which tags, since when.

import { api } from "./api.js";
import { bars, growth } from "./charts.js";
import { h, number, SERVICES } from "./dom.js";

const MOST_TAGS = 12;

export async function subscribers() {
  const { count, services = {}, tags = {}, tags_exact = true, days = [] } = await api.stats();
  if (!count && !days.length) {
    return [
      h(
        "div",
        { className: "card empty" },
        h("h2", {}, "Nobody is subscribed yet"),
        h("p", {}, "The demo page of this server, or a button on your site, brings the first."),
      ),
    ];
  }
  const month = days.slice(-30);
  const of = (name) => month.reduce((all, day) => all + (day[name] ?? 0), 0);
  const figure = (name, value, note) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, ` ${note}`)));
  const byNumber = (all) => Object.entries(all).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a);
  const tagged = byNumber(tags);
  const note = [
    tagged.length > MOST_TAGS && `the first ${MOST_TAGS} of ${number(tagged.length)}`,
    !tags_exact && "estimated from a sample",
  ]
    .filter(Boolean)
    .join(", ");
  return [
    h(
      "div",
      { className: "stack" },
      h(
        "dl",
        { className: "card figures" },
        figure("Subscribers", number(count)),
        figure("New", `+${number(of("new"))}`, "30 days"),
        figure("Gone", number(of("gone")), "30 days"),
        figure("Tags", number(Object.keys(tags).length), tags_exact ? "" : "or more"),
      ),
      days.length > 1 &&
        h("section", { className: "card", attr: { "aria-labelledby": "growth" } }, h("h2", { id: "growth" }, "Growth"), growth(days)),
      h(
        "div",
        { className: "grid" },
        h(
          "section",
          { className: "card", attr: { "aria-labelledby": "services" } },
          h("h2", { id: "services" }, "By push service"),
          bars(byNumber(services).map(([name, n]) => [SERVICES[name] ?? name, n]), count),
        ),
        h(
          "section",
          { className: "card", attr: { "aria-labelledby": "tags" } },
          h(
            "div",
            { className: "head" },
            h("h2", { id: "tags" }, "By tag"),
            note && h("span", { className: "small soft" }, note),
          ),
          tagged.length
            ? bars(tagged.slice(0, MOST_TAGS), count, !tags_exact)
            : h("p", { className: "soft" }, "Nobody has chosen a tag."),
        ),
      ),
    ),
  ];
}
