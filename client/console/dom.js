// Elements, made and filled: text is always text, never markup.

/** `h("p", { className: "soft" }, "words", other)`; `on` holds listeners, `attr` attributes. */
export function h(tag, { on = {}, attr = {}, ...properties } = {}, ...children) {
  return furnish(document.createElement(tag), on, attr, properties, children);
}

/** The same in SVG, where everything is an attribute. */
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

/** A label, its input and what there is to know about it. */
export function field(text, input, hint) {
  input.id ||= `field-${text.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  if (!hint) return h("div", { className: "field" }, h("label", { htmlFor: input.id }, text), input);
  const note = typeof hint === "string" ? h("p", { className: "hint" }, hint) : hint;
  note.id ||= `${input.id}-hint`;
  input.setAttribute("aria-describedby", note.id);
  return h("div", { className: "field" }, h("label", { htmlFor: input.id }, text), input, note);
}

/** Tells whoever listens instead of looking. */
export function announce(text) {
  document.getElementById("said").textContent = text;
}

/** Asks before something that cannot be undone. */
export function confirm(title, text, yes, danger = false) {
  return new Promise((resolve) => {
    const close = (answer) => () => dialog.close(answer);
    const heading = h("h2", { id: "dialog-title" }, title);
    const dialog = h(
      "dialog",
      { attr: { "aria-labelledby": heading.id }, on: { close: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) } },
      heading,
      h("p", { className: "soft" }, text),
      h(
        "div",
        { className: "actions" },
        h("button", { className: "quiet", type: "button", on: { click: close("no") } }, "Back"),
        h("button", { className: danger ? "danger" : "", type: "button", id: "yes", on: { click: close("yes") } }, yes),
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

/** How services are called by people. */
export const SERVICES = {
  fcm: "Google (Chrome, Android)",
  mozilla: "Mozilla (Firefox)",
  apple: "Apple (Safari)",
  wns: "Microsoft (Edge)",
  other: "Other",
};
