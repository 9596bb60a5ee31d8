// Builds elements and formats what they show. A string always becomes text, never markup.

/** `h("p", { className: "soft" }, "words", child)`: properties, listeners in `on`, attributes in `attr`. Skips empty children. */
export function h(tag, { on = {}, attr = {}, ...properties } = {}, ...children) {
  return furnish(document.createElement(tag), on, attr, properties, children);
}

/** The same for SVG, where there are only attributes. */
export function svg(tag, attr = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), {}, attr, {}, children);
}

function furnish(element, on, attr, properties, children) {
  Object.assign(element, properties);
  for (const [name, value] of Object.entries(attr)) element.setAttribute(name, value);
  for (const [type, listener] of Object.entries(on)) element.addEventListener(type, listener);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A label, its input, and a hint: a string or an element. */
export function field(text, input, hint) {
  input.id ||= `field-${text.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  if (!hint) return h("div", { className: "field" }, h("label", { htmlFor: input.id }, text), input);
  const note = typeof hint === "string" ? h("p", { className: "hint" }, hint) : hint;
  note.id ||= `${input.id}-hint`;
  input.setAttribute("aria-describedby", note.id);
  return h("div", { className: "field" }, h("label", { htmlFor: input.id }, text), input, note);
}

/** A number with its name, for a list of class `figures`. */
export function figure(name, value, note) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, ` ${note}`)));
}

/** Has a screen reader say it. */
export function announce(text) {
  document.getElementById("said").textContent = text;
}

/** Asks the operator in a dialog; `true` when they agree. */
export function confirm(title, text, yes, danger = false) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: "dialog-title" }, title);
    const button = (answer, properties, label) =>
      h("button", { type: "button", on: { click: () => dialog.close(answer) }, ...properties }, label);
    const closed = () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    };
    const dialog = h(
      "dialog",
      { attr: { "aria-labelledby": heading.id }, on: { close: closed } },
      heading,
      h("p", { className: "soft" }, text),
      h(
        "div",
        { className: "actions" },
        button("no", { className: "quiet" }, "Back"),
        button("yes", { className: danger ? "danger" : "", id: "yes" }, yes),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

const numbers = new Intl.NumberFormat();
export const number = (value) => numbers.format(value ?? 0);
export const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

export function when(text) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return "unknown";
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Names of the push services. */
export const SERVICES = {
  fcm: "Google (Chrome, Android)",
  mozilla: "Mozilla (Firefox)",
  apple: "Apple (Safari)",
  wns: "Microsoft (Edge)",
  other: "Other",
};
