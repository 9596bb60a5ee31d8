// A line chart of the number of subscribers, day by day.

import { h, number, plural, svg } from "./dom.js";

const HEIGHT = 240;
/** Used until the chart is in the page and has a width. */
const DEFAULT_WIDTH = 720;
const MARGIN = { top: 14, right: 14, bottom: 26, left: 48 };

/** `days` is `[{ date, count, new, gone }]`. The pointer and the arrow keys choose a day, whose numbers are shown as text. */
export function growth(days) {
  return new GrowthChart(days).element;
}

class GrowthChart {
  #days;
  #last;
  #chosen;
  #step;
  #top;
  #width = DEFAULT_WIDTH;
  #box;
  #reading = h("p", { className: "reading small soft", attr: { "aria-live": "polite" } });

  constructor(days) {
    this.#days = days;
    this.#last = days.length - 1;
    this.#chosen = this.#last;
    const most = Math.max(...days.map((day) => day.count), 1);
    this.#step = roundStep(most);
    this.#top = Math.ceil(most / this.#step) * this.#step;
    const [first, last] = [days[0], days[this.#last]];
    const range = `from ${first.date} to ${last.date}: from ${first.count} to ${last.count}`;
    const label = `Subscribers ${range}. Arrow keys read it day by day.`;
    this.#box = svg("svg", { class: "growth", tabindex: 0, role: "img", "aria-label": label });
    this.element = h("div", {}, this.#box, this.#reading);
    this.#listen();
    this.#draw();
    new ResizeObserver(() => this.#draw()).observe(this.#box);
  }

  #listen() {
    this.#box.addEventListener("pointermove", (event) => {
      const { left, width } = this.#box.getBoundingClientRect();
      const share = (event.clientX - left - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
      this.#choose(Math.round(share * this.#last));
    });
    this.#box.addEventListener("pointerleave", () => this.#choose(this.#last));
    this.#box.addEventListener("keydown", (event) => {
      const keys = { ArrowLeft: this.#chosen - 1, ArrowRight: this.#chosen + 1, Home: 0, End: this.#last };
      const day = keys[event.key];
      if (day === undefined) return;
      event.preventDefault();
      this.#choose(day);
    });
  }

  #choose(day) {
    this.#chosen = Math.min(Math.max(day, 0), this.#last);
    this.#draw();
  }

  #x(day) {
    return MARGIN.left + (day * (this.#width - MARGIN.left - MARGIN.right)) / Math.max(this.#last, 1);
  }

  #y(count) {
    return HEIGHT - MARGIN.bottom - (count * (HEIGHT - MARGIN.top - MARGIN.bottom)) / this.#top;
  }

  #draw() {
    this.#width = this.#box.clientWidth || DEFAULT_WIDTH;
    const { date, count, new: came, gone } = this.#days[this.#chosen];
    const subscribers = plural(count, "subscriber", "subscribers");
    this.#reading.textContent = `${shortDate(date)}: ${subscribers}, ${number(came)} new, ${number(gone)} gone`;
    this.#box.setAttribute("viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    this.#box.replaceChildren(...this.#rules(), ...this.#dates(), ...this.#line(), this.#mark());
  }

  /** Horizontal lines with their numbers. */
  #rules() {
    const compact = new Intl.NumberFormat(undefined, { notation: "compact" });
    const rules = [];
    for (let count = 0; count <= this.#top; count += this.#step) {
      const y = this.#y(count);
      rules.push(svg("line", { class: "rule", x1: MARGIN.left, x2: this.#width - MARGIN.right, y1: y, y2: y }));
      rules.push(svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, compact.format(count)));
    }
    return rules;
  }

  /** As many dates as there is room for, the last day among them. */
  #dates() {
    const room = Math.max(Math.floor(this.#width / 110), 2);
    const every = Math.max(Math.ceil(this.#days.length / room), 1);
    return this.#days
      .map(({ date }, day) => ({ date, day, x: this.#x(day) }))
      .filter(({ day, x }) => (this.#last - day) % every === 0 && x > MARGIN.left + 10)
      .map(({ date, day, x }) => {
        const anchor = day === this.#last ? "end" : "middle";
        return svg("text", { x, y: HEIGHT - 6, "text-anchor": anchor }, shortDate(date));
      });
  }

  #line() {
    const points = this.#days.map(({ count }, day) => `${this.#x(day).toFixed(1)} ${this.#y(count).toFixed(1)}`);
    const line = `M${points.join("L")}`;
    const bottom = `L${this.#x(this.#last).toFixed(1)} ${this.#y(0)}L${this.#x(0).toFixed(1)} ${this.#y(0)}Z`;
    return [svg("path", { class: "area", d: line + bottom }), svg("path", { class: "line", d: line })];
  }

  #mark() {
    const x = this.#x(this.#chosen);
    return svg(
      "g",
      { class: "mark" },
      svg("line", { x1: x, x2: x, y1: MARGIN.top, y2: this.#y(0) }),
      svg("circle", { cx: x, cy: this.#y(this.#days[this.#chosen].count), r: 5 }),
    );
  }
}

function shortDate(date) {
  return new Date(`${date}T12:00:00Z`).toLocaleDateString(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
}

/** A step of 1, 2 or 5 times a power of ten, so that about four of them reach `most`. */
function roundStep(most) {
  const rough = Math.max(most / 4, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= rough);
}
