// The view "Compose": a message, its audience, and when it is sent.

import { api } from "./api.js";
import { AudiencePicker } from "./audience.js";
import { dataFields, deliveryFields, notificationFields, scheduleFields, segmented } from "./compose-fields.js";
import { announce, confirm, h, plural } from "./dom.js";
import { forgetDraft, restoreDraft, saveDraft } from "./draft.js";
import { campaignIdFor, forgetCampaignId } from "./idempotency.js";
import { MAX_PAYLOAD, messageOf, preview, sizeMeter, sizeOf } from "./message.js";

/** Values for the controls that are disabled: `FormData` leaves those out. */
const BLANK = { title: "", body: "", navigate: "", badge: "", ttl: "", data: "" };

export async function compose(go) {
  // Without statistics there are no tags to choose from; everything else works.
  const stats = await api.stats().catch(() => ({}));
  return [new Composer(stats, go).form];
}

class Composer {
  #go;
  #audience;
  #notification = notificationFields();
  #data = dataFields();
  #schedule = scheduleFields();
  #preview = h("div", { attr: { "aria-live": "off" } });
  #problem = h("p", { className: "note bad", attr: { role: "alert" } });
  #submit = h("button", { type: "submit", id: "compose-submit" }, "Send");
  #message;
  #sending = false;

  constructor(stats, go) {
    this.#go = go;
    this.#audience = new AudiencePicker(stats);
    this.form = this.#layOut();
    restoreDraft(this.form);
    this.form.addEventListener("input", () => this.#update());
    this.#update();
    this.#audience.estimate();
  }

  #layOut() {
    return h(
      "form",
      { className: "compose", on: { submit: (event) => this.#submitted(event) } },
      h("div", { className: "stack" }, this.#messageSection(), this.#audience.section, this.#whenSection()),
      h(
        "aside",
        { className: "card", attr: { "aria-labelledby": "compose-preview" } },
        h("h2", { id: "compose-preview" }, "Preview"),
        this.#preview,
      ),
    );
  }

  #messageSection() {
    const kinds = [
      ["notification", "Notification"],
      ["data", "Data"],
    ];
    return h(
      "section",
      { className: "card stack", attr: { "aria-labelledby": "compose-message" } },
      h("h2", { id: "compose-message" }, "Message"),
      segmented("kind", "Kind of message", kinds),
      this.#notification,
      this.#data,
    );
  }

  #whenSection() {
    const times = [
      ["now", "Now"],
      ["later", "On a schedule"],
    ];
    return h(
      "section",
      { className: "card stack", attr: { "aria-labelledby": "compose-when" } },
      h("h2", { id: "compose-when" }, "When"),
      segmented("time", "When", times),
      this.#schedule,
      deliveryFields(),
      this.#problem,
      h("div", { className: "actions" }, this.#submit),
    );
  }

  #values() {
    const values = Object.fromEntries(new FormData(this.form));
    return { ...values, requireInteraction: this.form.elements.requireInteraction.checked };
  }

  /** After every change of the form: shows the fields that apply, makes the message and its preview, and saves the draft. */
  #update() {
    const { kind, time } = this.#values();
    const isData = kind === "data";
    const isLater = time === "later";
    enable(this.#notification, !isData);
    enable(this.#data, isData);
    enable(this.#schedule, isLater);
    const { data, name, timezone } = this.form.elements;
    data.required = isData;
    name.required = timezone.required = isLater;

    const values = this.#values();
    this.#message = messageOf({ ...BLANK, ...values });
    const size = sizeOf(this.#message);
    this.#preview.replaceChildren(preview(this.#message), sizeMeter(size));
    this.#submit.disabled = this.#sending || size > MAX_PAYLOAD;
    this.#submit.textContent = isLater ? "Schedule …" : "Send …";
    saveDraft(values);
  }

  async #submitted(event) {
    event.preventDefault();
    this.#problem.textContent = "";
    const order = { to: { audience: this.#audience.expression }, ...this.#message };
    try {
      if (this.#values().time === "later") await this.#scheduleOrder(order);
      else await this.#sendOrder(order);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The operator may open another view while a request is under way, and then a new form: this one must not touch it. */
  #isLeft() {
    return !this.form.isConnected;
  }

  async #scheduleOrder(message) {
    const { name, timezone } = this.form.elements;
    const schedule = { name: name.value, expression: this.#scheduleExpression(), timezone: timezone.value };
    const text = `${titleOf(message)} goes to ${this.#recipients()}: ${schedule.expression}, ${schedule.timezone}.`;
    if (!(await confirm("Schedule it?", text, "Schedule")) || this.#isLeft()) return;
    this.#hold(true);
    await api.schedule({ ...schedule, message });
    this.#done("Scheduled.", "schedules");
  }

  async #sendOrder(order) {
    const id = campaignIdFor(order);
    const text = `${titleOf(order)} is sent at once. A message that has arrived cannot be taken back.`;
    if (!(await confirm(`Send to ${this.#recipients()}?`, text, "Send now")) || this.#isLeft()) return;
    this.#hold(true);
    const { campaign } = await api.send({ id, ...order });
    forgetCampaignId(id);
    this.#done("Sending.", `campaigns/${encodeURIComponent(campaign)}`);
  }

  #done(text, view) {
    announce(text);
    if (this.#isLeft()) return;
    forgetDraft();
    this.#go(view);
  }

  #failed(error) {
    if (this.#isLeft()) return announce(error.message);
    this.#problem.textContent = error.message;
    this.#hold(false);
    const wrong = this.form.elements[(error.field ?? "").split(".").at(-1)];
    (wrong?.focus ? wrong : this.#submit).focus();
  }

  #hold(sending) {
    this.#sending = sending;
    this.#update();
  }

  #recipients() {
    const { reach, expression } = this.#audience;
    if (!reach) return `everyone in “${expression}”`;
    return `${reach.exact ? "" : "about "}${plural(reach.subscribers, "subscriber", "subscribers")}`;
  }

  #scheduleExpression() {
    const { expression, at } = this.form.elements;
    if (expression.value.trim()) return expression.value.trim();
    if (!at.value) throw new Error("Say when: enter a time, or a cron or rate expression.");
    // A browser leaves out seconds that are zero.
    return `at(${at.value.length === 16 ? `${at.value}:00` : at.value})`;
  }
}

/** A part that is not enabled is hidden, and its controls are neither checked nor submitted. */
function enable(part, enabled) {
  part.hidden = !enabled;
  for (const control of part.querySelectorAll("input, textarea, select")) control.disabled = !enabled;
}

const titleOf = ({ notification }) => (notification ? `“${notification.title}”` : "The data");
