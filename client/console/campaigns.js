// The view "Campaigns": all campaigns, newest first.

import { api } from "./api.js";
import { h, number, when } from "./dom.js";
import { audienceSize } from "./progress.js";
import { statusPill } from "./status.js";

export async function campaigns() {
  const list = new CampaignList();
  return [(await list.load()) ? list.card : noCampaigns()];
}

class CampaignList {
  #next;
  #rows = h("tbody");
  #more = h("button", { className: "quiet", type: "button", on: { click: () => this.#loadMore() } }, "Show earlier ones");
  #problem = h("p", { className: "note bad", attr: { role: "alert" } });

  constructor() {
    const columns = ["Started", "Status", "Audience", "Accepted", "Of"];
    const head = columns.map((text, i) => h("th", { scope: "col", className: i > 2 ? "number" : "" }, text));
    const caption = h("caption", { className: "visually-hidden" }, "Campaigns, newest first");
    const table = h("table", { className: "cards" }, caption, h("thead", {}, h("tr", {}, head)), this.#rows);
    this.card = h("div", { className: "card stack" }, table, this.#more, this.#problem);
  }

  /** Adds the next page of campaigns; how many it has. */
  async load() {
    const page = await api.campaigns(this.#next);
    this.#next = page.next;
    this.#more.hidden = !page.next;
    this.#rows.append(...page.campaigns.map(row));
    return page.campaigns.length;
  }

  async #loadMore() {
    this.#more.disabled = true;
    this.#problem.textContent = "";
    try {
      await this.load();
    } catch (error) {
      this.#problem.textContent = error.message;
    }
    this.#more.disabled = false;
  }
}

function noCampaigns() {
  return h(
    "div",
    { className: "card empty" },
    h("h2", {}, "No campaigns yet"),
    h("p", {}, "A message to an audience is a campaign."),
    h("a", { className: "button", href: "#compose" }, "Compose one"),
  );
}

function row(campaign) {
  const { id, created_at, audience, status, counts } = campaign;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("a", { href: `#campaigns/${encodeURIComponent(id)}` }, when(created_at))),
    h("td", {}, statusPill(status)),
    h("td", { className: "expression whole" }, h("code", {}, audience)),
    h("td", { className: "number", attr: { "data-label": "Accepted" } }, number(counts.accepted)),
    h("td", { className: "number", attr: { "data-label": "of" } }, number(audienceSize(campaign))),
  );
}
