// Three charts, drawn by hand: each is also words or a table for who cannot see it.

import { h, number, plural, svg } from "./dom.js";

const [WIDTH, HEIGHT] = [720, 240];
const MARGIN = { top: 14, right: 14, bottom: 26, left: 48 };

/** Subscribers over time: `[{ date, count, new, gone }]`. Arrow keys and the pointer read it day by day. */
export function growth(days) {
  const most = Math.max(...days.map((day) => day.count), 1);
  const { step, top } = scale(most);
  const compact = new Intl.NumberFormat(undefined, { notation: "compact" });
  const reading = h("p", { className: "reading small soft", attr: { "aria-live": "polite" } });
  const box = svg("svg", {
    class: "growth",
    tabindex: 0,
    role: "img",
    "aria-label": `Subscribers from ${days[0].date} to ${days.at(-1).date}: from ${days[0].count} to ${days.at(-1).count}. Arrow keys read it day by day.`,
  });
  let at = days.length - 1;
  const draw = () => {
    const width = box.clientWidth || WIDTH;
    const x = (i) => MARGIN.left + (i * (width - MARGIN.left - MARGIN.right)) / Math.max(days.length - 1, 1);
    const y = (n) => HEIGHT - MARGIN.bottom - (n * (HEIGHT - MARGIN.top - MARGIN.bottom)) / top;
    box.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const path = days.map((day, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(day.count).toFixed(1)}`).join("");
    const rules = [];
    for (let n = 0; n <= top; n += step) {
      rules.push(svg("line", { class: "rule", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(n), y2: y(n) }));
      rules.push(svg("text", { x: MARGIN.left - 8, y: y(n) + 4, "text-anchor": "end" }, compact.format(n)));
    }
    const every = Math.max(Math.ceil(days.length / Math.max(Math.floor(width / 110), 2)), 1);
    const dates = days
      .map((day, i) => [day, i])
      .filter(([, i]) => (days.length - 1 - i) % every === 0 && x(i) > MARGIN.left + 10)
      .map(([day, i]) => svg("text", { x: x(i), y: HEIGHT - 6, "text-anchor": i === days.length - 1 ? "end" : "middle" }, short(day.date)));
    const end = `L${x(days.length - 1).toFixed(1)} ${y(0)}L${x(0).toFixed(1)} ${y(0)}Z`;
    const { date, count, new: came, gone } = days[at];
    reading.textContent = `${short(date)}: ${plural(count, "subscriber", "subscribers")}, ${number(came)} new, ${number(gone)} gone`;
    box.replaceChildren(
      ...rules,
      ...dates,
      svg("path", { class: "area", d: path + end }),
      svg("path", { class: "line", d: path }),
      svg(
        "g",
        { class: "mark" },
        svg("line", { x1: x(at), x2: x(at), y1: MARGIN.top, y2: y(0) }),
        svg("circle", { cx: x(at), cy: y(count), r: 5 }),
      ),
    );
  };
  const go = (to) => {
    at = Math.min(Math.max(to, 0), days.length - 1);
    draw();
  };
  box.addEventListener("pointermove", (event) => {
    const { left, width } = box.getBoundingClientRect();
    const inside = (event.clientX - left - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
    go(Math.round(inside * (days.length - 1)));
  });
  box.addEventListener("pointerleave", () => go(days.length - 1));
  box.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: days.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  draw();
  new ResizeObserver(draw).observe(box);
  return h("div", {}, box, reading);
}

function short(date) {
  return new Date(`${date}T12:00:00Z`).toLocaleDateString(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
}

/** Round steps, four or so. */
function scale(most) {
  const rough = Math.max(most / 4, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((it) => it >= rough);
  return { step, top: Math.ceil(most / step) * step };
}

/** Parts of a whole: `[[name, n]]`, exactly or about. */
export function bars(entries, whole, about = false) {
  const row = ([name, n]) => {
    const share = whole ? n / whole : 0;
    const exact = share.toLocaleString(undefined, { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 });
    const percent = n > 0 && share < 0.001 ? "<0.1%" : exact;
    return h(
      "li",
      {},
      h("b", {}, name),
      h("span", {}, about && "about ", h("strong", {}, number(n)), ` ${percent}`),
      track([["", n]], whole),
    );
  };
  return h("ul", { className: "bars" }, entries.map(row));
}

/** A bar of several parts; what it says is said in words beside it. */
export function track(parts, whole, name = "track") {
  const part = ([kind, n]) => {
    const bar = h("i", { className: kind });
    bar.style.width = `${whole ? Math.min((100 * n) / whole, 100) : 0}%`;
    return bar;
  };
  return h("div", { className: name, attr: { "aria-hidden": "true" } }, parts.filter(([, n]) => n > 0).map(part));
}

/** What became of a campaign's messages, in four words. */
export const OUTCOMES = [
  ["accepted", "Accepted", (c) => c.accepted],
  ["retrying", "To be tried again", (c) => c.retrying],
  ["gone", "No longer subscribed", (c) => c.gone],
  ["lost", "Not accepted", (c) => sum(c.mismatched, c.too_large, c.refused, c.failed)],
];

const sum = (...numbers) => numbers.reduce((all, n) => all + (n ?? 0), 0);
export const everyone = (counts) => sum(...OUTCOMES.map(([, , of]) => of(counts)));

export function outcomes(services, names) {
  const row = ([service, counts]) => {
    const all = everyone(counts);
    return h(
      "li",
      {},
      h("b", {}, names[service] ?? service),
      h("span", {}, h("strong", {}, number(counts.accepted)), ` of ${number(all)}`),
      track(OUTCOMES.map(([kind, , of]) => [kind, of(counts) ?? 0]), all),
    );
  };
  const legend = OUTCOMES.map(([kind, name]) => h("li", {}, track([[kind, 1]], 1), name));
  const entries = Object.entries(services).filter(([, counts]) => everyone(counts) > 0);
  return [h("ul", { className: "legend" }, legend), h("ul", { className: "bars" }, entries.map(row))];
}
