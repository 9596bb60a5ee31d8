// The audience of a message: an expression over tags, and how many subscribers it reaches.

import { api } from "./api.js";
import { control } from "./compose-fields.js";
import { field, h, number, plural } from "./dom.js";

const MAX_TAGS = 16;

/** Milliseconds without a keystroke before the server is asked. */
const DEBOUNCE = 300;

export class AudiencePicker {
  /** The server's answer about the expression as it is now: `{ subscribers, exact }`; `undefined` until it is known. */
  reach;
  #estimates = 0;
  #input = control("audience", {
    value: "all",
    required: true,
    className: "mono",
    autocomplete: "off",
    spellcheck: false,
    attr: { autocapitalize: "none" },
  });
  #reachText = h("div", { className: "reach", attr: { "aria-live": "polite" } });

  constructor({ tags = {}, tags_exact }) {
    this.#input.addEventListener("input", () => this.estimate());
    this.section = h(
      "section",
      { className: "card stack close", attr: { "aria-labelledby": "compose-audience-title" } },
      h("h2", { id: "compose-audience-title" }, "Audience"),
      field("Tags", this.#input, "all, or an expression: news && !(sports || beta)"),
      this.#tagButtons(tags, tags_exact),
      this.#reachText,
    );
  }

  get expression() {
    return this.#input.value.trim();
  }

  #tagButtons(tags, exact) {
    const mostUsed = Object.entries(tags)
      .sort(([, a], [, b]) => b - a)
      .slice(0, MAX_TAGS);
    const button = ([tag, subscribers]) => {
      const title = (exact ? "" : "about ") + plural(subscribers, "subscriber", "subscribers");
      return h("button", { type: "button", className: "quiet", title, on: { click: () => this.#add(tag) } }, tag);
    };
    const group = { className: "tags", attr: { role: "group", "aria-label": "Tags to add" } };
    return mostUsed.length > 0 && h("div", group, mostUsed.map(button));
  }

  #add(tag) {
    const text = this.expression;
    this.#input.value = !text || text === "all" ? tag : `${text} && ${tag}`;
    this.#input.dispatchEvent(new Event("input", { bubbles: true }));
    this.#input.focus();
  }

  /** Asks the server how many subscribers the expression reaches. Only the newest question counts. */
  async estimate() {
    const estimate = ++this.#estimates;
    const isOld = () => estimate !== this.#estimates;
    this.reach = undefined;
    await new Promise((resolve) => setTimeout(resolve, DEBOUNCE));
    if (isOld()) return;
    try {
      const reach = await api.audience(this.expression);
      if (!isOld()) this.#show(reach);
    } catch (error) {
      if (!isOld()) this.#showError(error);
    }
  }

  #show(reach) {
    this.reach = reach;
    this.#input.removeAttribute("aria-invalid");
    this.#reachText.replaceChildren(
      h("span", { className: "soft" }, reach.exact ? "Reaches" : "Reaches about"),
      h("strong", {}, number(reach.subscribers)),
      h("span", { className: "soft" }, reach.subscribers === 1 ? "subscriber" : "subscribers"),
    );
  }

  #showError(error) {
    const isInvalid = error.status === 400;
    if (isInvalid) this.#input.setAttribute("aria-invalid", "true");
    else this.#input.removeAttribute("aria-invalid");
    const text = isInvalid ? error.message : "The number of subscribers it reaches is unknown.";
    this.#reachText.replaceChildren(h("p", { className: isInvalid ? "note bad" : "note" }, text));
  }
}
