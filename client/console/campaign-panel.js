// How one campaign is shown. The elements stay and only their content is replaced: what has the focus keeps it, and what
// was opened stays open.

import { track } from "./charts.js";
import { figure, h, number, plural, when } from "./dom.js";
import { outcomeBars, outcomeTable } from "./outcomes.js";
import { audienceSize, messagesIn, progressOf, RateMeter, timeTaken } from "./progress.js";
import { isResumable, isRunning, statusPill } from "./status.js";

const alert = (id) => h("p", { className: "note bad", id, attr: { role: "alert" } });
const button = (id, className, text, click) => h("button", { type: "button", id, className, on: { click } }, text);
const region = { role: "region", "aria-label": "Outcomes by push service" };
const progressbar = { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "Progress" };

export class CampaignPanel {
  #summary = h("div", { className: "actions" });
  #reason = h("p", { className: "note" });
  #progress = h("div", { attr: progressbar });
  #cancel;
  #resume;
  #changeProblem = alert("problem");
  #lookProblem = alert("away");
  #figures = h("dl", { className: "card figures" });
  #bars = h("div", {});
  #table = h("div", { className: "scroll", tabIndex: 0, attr: region });
  #details = h("details", {}, h("summary", {}, "As a table"), this.#table);
  #meter = new RateMeter();

  constructor({ cancel, resume }) {
    this.#cancel = button("cancel", "danger", "Cancel", cancel);
    this.#resume = button("resume", "", "Resume", resume);
    const actions = [this.#cancel, this.#resume, this.#changeProblem, this.#lookProblem];
    this.element = h(
      "div",
      { className: "stack" },
      h(
        "section",
        { className: "card stack", attr: { "aria-label": "Progress" } },
        this.#summary,
        this.#reason,
        this.#progress,
        h("div", { className: "actions" }, actions),
      ),
      this.#figures,
      h(
        "section",
        { className: "card", attr: { "aria-labelledby": "outcomes" } },
        h("h2", { id: "outcomes" }, "Outcomes"),
        this.#bars,
        this.#details,
      ),
    );
  }

  /** `byOperator`: the operator has just cancelled or resumed it here. */
  show(campaign, byOperator) {
    this.#meter.add(campaign);
    this.#showSummary(campaign);
    this.#showProgress(campaign);
    this.#showOutcomes(campaign);
    this.#showButtons(campaign, byOperator);
  }

  #showSummary({ status, audience, created_at, reason }) {
    const about = ["to ", h("code", { className: "expression" }, audience), `, started ${when(created_at)}`];
    this.#summary.replaceChildren(statusPill(status), h("span", { className: "soft small" }, about));
    this.#reason.textContent = reason ?? "";
    this.#reason.className = `note ${status === "halted" ? "bad" : ""}`;
  }

  #showProgress(campaign) {
    const { segments, counts } = campaign;
    const share = progressOf(campaign);
    const percent = share.toLocaleString(undefined, { style: "percent" });
    const time = timeTaken(campaign);
    this.#progress.setAttribute("aria-valuenow", Math.round(share * 100));
    this.#progress.replaceChildren(track([["accepted", Math.round(share * 1000)]], 1000, "track progress"));
    this.#figures.replaceChildren(
      figure("Done", percent, `${number(segments.done)} of ${plural(segments.total, "segment", "segments")}`),
      figure("Accepted", number(counts.accepted), `of ${number(audienceSize(campaign))}`),
      figure("Rate", number(this.#meter.rate(campaign)), "a second"),
      figure("Time", time === undefined ? "–" : duration(time)),
    );
  }

  #showOutcomes({ counts, services }) {
    const nothing = messagesIn(counts) === 0;
    const hint = h("p", { className: "soft" }, "Nothing has been sent yet.");
    this.#bars.replaceChildren(...(nothing ? [hint] : outcomeBars(services)));
    this.#details.hidden = nothing;
    this.#table.replaceChildren(outcomeTable(services));
  }

  #showButtons({ status }, byOperator) {
    const focused = document.activeElement;
    this.#cancel.hidden = !isRunning(status);
    this.#resume.hidden = !isResumable(status);
    if (!focused?.hidden) return;
    // The focused button is gone. After the operator's own click, the focus goes to the one in its place. Otherwise it goes
    // to the heading, so that a key that is about to be pressed does nothing.
    const shown = [this.#cancel, this.#resume].find((it) => !it.hidden);
    const next = (byOperator && shown) || document.querySelector("#view h1");
    next.focus({ preventScroll: true });
  }

  showChangeProblem(text) {
    this.#changeProblem.textContent = text;
  }

  /** A screen reader reads out whatever is written here, so the same text is not written twice. */
  showLookProblem(text) {
    if (this.#lookProblem.textContent !== text) this.#lookProblem.textContent = text;
  }
}

function duration(ms) {
  const seconds = Math.max(Math.round(ms / 1000), 0);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
