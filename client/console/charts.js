// Bars. They are hidden from assistive technology: the same numbers stand beside them as text.

import { h, number } from "./dom.js";

/** Parts of a whole: `[[name, n]]`. `about` says that the numbers are estimates. */
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

/** One bar of several parts: `[[kind, n]]`, where `kind` is a class that has a colour. */
export function track(parts, whole, className = "track") {
  const part = ([kind, n]) => {
    const bar = h("i", { className: kind });
    bar.style.width = `${whole ? Math.min((100 * n) / whole, 100) : 0}%`;
    return bar;
  };
  return h("div", { className, attr: { "aria-hidden": "true" } }, parts.filter(([, n]) => n > 0).map(part));
}
