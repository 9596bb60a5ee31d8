// Campaigns: all of them, and one as it goes.

import { api, Unauthorized } from "./api.js";
import { everyone, outcomes, track } from "./charts.js";
import { announce, confirm, h, number, plural, SERVICES, when } from "./dom.js";

const STATUS = { planned: "busy", running: "busy", done: "good", halted: "bad", cancelled: "warn" };
const EVERY = 1_000;

export const pill = (status) => h("span", { className: `pill ${STATUS[status] ?? ""}` }, status);
/** Everyone, where it is for everyone; else those of the audience who were read so far. */
const reach = ({ audience, subscribers = 0, counts }) => Math.max(audience === "all" ? subscribers : 0, everyone(counts));
const isRunning = ({ status }) => status === "planned" || status === "running";

export async function campaigns(go) {
  const body = h("tbody");
  const more = h("button", { className: "quiet", type: "button" }, "Show earlier ones");
  const problem = h("p", { className: "note bad", attr: { role: "alert" } });
  let next;
  async function load() {
    const page = await api.campaigns(next);
    next = page.next;
    more.hidden = !next;
    body.append(...page.campaigns.map(row));
    return page.campaigns.length;
  }
  more.addEventListener("click", async () => {
    more.disabled = true;
    problem.textContent = "";
    await load().catch((error) => (problem.textContent = error.message));
    more.disabled = false;
  });
  if (!(await load())) {
    return [
      h(
        "div",
        { className: "card empty" },
        h("h2", {}, "No campaigns yet"),
        h("p", {}, "A message to an audience is a campaign."),
        h("a", { className: "button", href: "#compose" }, "Compose one"),
      ),
    ];
  }
  const head = ["Begun", "Status", "Audience", "Accepted", "Of"].map((text, i) =>
    h("th", { scope: "col", className: i > 2 ? "number" : "" }, text),
  );
  return [
    h(
      "div",
      { className: "card stack" },
      h("table", { className: "cards" }, h("caption", { className: "visually-hidden" }, "Campaigns, newest first"), h("thead", {}, h("tr", {}, head)), body),
      more,
      problem,
    ),
  ];
}

function row(campaign) {
  const { id, created_at, audience, status, counts } = campaign;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("a", { href: `#campaigns/${encodeURIComponent(id)}` }, when(created_at))),
    h("td", {}, pill(status)),
    h("td", { className: "expression whole" }, h("code", {}, audience)),
    h("td", { className: "number", attr: { "data-label": "Accepted" } }, number(counts.accepted)),
    h("td", { className: "number", attr: { "data-label": "of" } }, number(reach(campaign))),
  );
}

/** One campaign, looked at again and again while it runs. `signal` ends that; so does a token that is good no more. */
export async function campaign(id, signal, signIn) {
  // What has the focus, or was opened, stays: only what moves is drawn anew.
  const button = (name, text, className, click) => h("button", { type: "button", id: name, className, on: { click } }, text);
  const cancelling = button("cancel", "Cancel", "danger", cancel);
  const resuming = button("resume", "Resume", "", resume);
  const about = h("div", { className: "actions" });
  const reason = h("p", { className: "note" });
  const progress = h("div", { attr: { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "Progress" } });
  const problem = h("p", { className: "note bad", id: "problem", attr: { role: "alert" } });
  const away = h("p", { className: "note bad", id: "away", attr: { role: "alert" } });
  const totals = h("dl", { className: "card figures" });
  const drawn = h("div", {});
  const table = h("div", { className: "scroll", tabIndex: 0, attr: { role: "region", "aria-label": "Outcomes by push service" } });
  const details = h("details", {}, h("summary", {}, "In figures"), table);
  const view = h(
    "div",
    { className: "stack" },
    h(
      "section",
      { className: "card stack", attr: { "aria-label": "Progress" } },
      about,
      reason,
      progress,
      h("div", { className: "actions" }, cancelling, resuming, problem, away),
    ),
    totals,
    h("section", { className: "card", attr: { "aria-labelledby": "outcomes" } }, h("h2", { id: "outcomes" }, "What became of it"), drawn, details),
  );
  let seen = [];
  let said;
  // How often something was changed: an answer to what was asked before is an old one.
  let changes = 0;
  let changing = false;

  function show(now) {
    const all = everyone(now.counts);
    seen = [...seen, { at: performance.now(), all: now.scanned ?? all }].slice(-6);
    // An audience of some: how far it is shows in who was read, not in who was pushed to.
    const read = Math.max(now.scanned ?? 0, all);
    const whole = Math.max(now.subscribers ?? 0, read);
    const share = now.status === "done" ? 1 : whole ? (read - (now.counts.retrying ?? 0)) / whole : 0;
    const percent = share.toLocaleString(undefined, { style: "percent" });
    const ends = now.finished_at ?? (isRunning(now) ? Date.now() : undefined);
    const figure = (name, value, note) => h("div", {}, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, ` ${note}`)));

    about.replaceChildren(
      pill(now.status),
      h("span", { className: "soft small" }, `to `, h("code", { className: "expression" }, now.audience), `, begun ${when(now.created_at)}`),
    );
    reason.textContent = now.reason ?? "";
    reason.className = `note ${now.status === "halted" ? "bad" : ""}`;
    progress.setAttribute("aria-valuenow", Math.round(share * 100));
    progress.replaceChildren(track([["accepted", Math.round(share * 1000)]], 1000, "track progress"));
    totals.replaceChildren(
      figure("Done", percent, `${number(now.segments.done)} of ${plural(now.segments.total, "segment", "segments")}`),
      figure("Accepted", number(now.counts.accepted), `of ${number(reach(now))}`),
      figure("Rate", number(rate(now)), "a second"),
      figure("Time", ends ? duration(new Date(ends) - new Date(now.created_at)) : "–"),
    );
    const some = all > 0 ? outcomes(now.services ?? {}, SERVICES) : [h("p", { className: "soft" }, "Nothing has been sent yet.")];
    drawn.replaceChildren(...some);
    details.hidden = all === 0;
    table.replaceChildren(figures(now));

    const focused = document.activeElement;
    cancelling.hidden = !isRunning(now);
    resuming.hidden = now.status !== "halted" && now.status !== "cancelled";
    if (focused?.hidden) {
      // After a click, on what took its place; else where no key that is about to be pressed does anything.
      const next = changing && [cancelling, resuming].find((it) => !it.hidden);
      (next || document.querySelector("#view h1")).focus({ preventScroll: true });
    }
    if (now.status !== said) announce(`The campaign is ${now.status}.`);
    said = now.status;
  }

  /** While it runs, of the last seconds; afterwards, of all of it. */
  function rate(now) {
    if (now.finished_at) {
      const seconds = (new Date(now.finished_at) - new Date(now.created_at)) / 1000;
      return Math.round(everyone(now.counts) / Math.max(seconds, 1));
    }
    const [first, last] = [seen[0], seen.at(-1)];
    if (!isRunning(now) || first === last) return 0;
    return Math.max(Math.round(((last.all - first.all) * 1000) / (last.at - first.at)), 0);
  }

  async function change(ask) {
    if (changing) return;
    changing = true;
    changes += 1;
    problem.textContent = "";
    try {
      const now = await ask();
      if (!signal.aborted) show(now);
    } catch (error) {
      if (signal.aborted) announce(error.message);
      else if (error instanceof Unauthorized) signIn(error.message);
      else problem.textContent = error.message;
    }
    changing = false;
  }

  async function cancel() {
    const sure = await confirm("Cancel this campaign?", "Who has not been reached yet will not be. You can resume it later.", "Cancel it", true);
    if (sure) await change(() => api.cancel(id));
  }

  async function resume() {
    const sure = await confirm("Resume this campaign?", "It goes on with those who have not been reached yet.", "Resume it");
    if (sure) await change(() => api.resume(id));
  }

  async function watch() {
    // A dialog over the page must keep what it stands on.
    const busy = () => changing || document.querySelector("dialog");
    while (said !== "done") {
      await new Promise((resolve) => setTimeout(resolve, isRunning({ status: said }) ? EVERY : 5 * EVERY));
      if (signal.aborted) return;
      if (document.hidden || busy()) continue;
      const before = changes;
      let now;
      let lost = "";
      try {
        now = await api.campaign(id);
      } catch (error) {
        if (error instanceof Unauthorized && !signal.aborted && !busy()) return signIn(error.message);
        lost = error.message;
      }
      if (signal.aborted) return;
      if (busy() || before !== changes) continue;
      try {
        if (now) show(now);
      } catch {
        lost = "The server's answer makes no sense.";
      }
      // Written only when it differs: whoever listens hears it once.
      if (away.textContent !== lost) away.textContent = lost;
    }
  }

  const now = await api.campaign(id);
  if (signal.aborted) return [];
  show(now);
  watch();
  return [view];
}

const COUNTS = {
  accepted: "Accepted",
  gone: "Gone",
  mismatched: "Another key",
  too_large: "Too large",
  refused: "Refused",
  failed: "Given up",
  retrying: "Trying again",
};

function figures({ services = {} }) {
  const rows = Object.entries(services).filter(([, counts]) => everyone(counts) > 0);
  const used = Object.entries(COUNTS).filter(([name]) => name === "accepted" || rows.some(([, counts]) => counts[name] > 0));
  return h(
    "table",
    {},
    h("caption", { className: "visually-hidden" }, "Outcomes by push service"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Push service"), used.map(([, text]) => h("th", { scope: "col", className: "number" }, text)))),
    h(
      "tbody",
      {},
      rows.map(([service, counts]) =>
        h("tr", {}, h("th", { scope: "row" }, SERVICES[service] ?? service), used.map(([name]) => h("td", { className: "number" }, number(counts[name])))),
      ),
    ),
  );
}

function duration(ms) {
  const seconds = Math.max(Math.round(ms / 1000), 0);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
