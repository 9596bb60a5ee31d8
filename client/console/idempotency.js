// An id for each order, so that an order that is sent again starts no second campaign: the answer to the first request may
// be lost although the campaign has started.

const LAST_ORDER = "pushcast-tried";
const DAY = 24 * 60 * 60 * 1000;

const lastOrder = () => JSON.parse(sessionStorage.getItem(LAST_ORDER) ?? "{}");

/** The same order keeps its id for a day. */
export function campaignIdFor(order) {
  const text = JSON.stringify(order);
  const last = lastOrder();
  if (last.text === text && Date.now() - last.at < DAY) return last.id;
  const id = randomId();
  sessionStorage.setItem(LAST_ORDER, JSON.stringify({ text, id, at: Date.now() }));
  return id;
}

/** The campaign has started: the next order is another one, even if it reads the same. */
export function forgetCampaignId(id) {
  if (lastOrder().id === id) sessionStorage.removeItem(LAST_ORDER);
}

/** `crypto.randomUUID` is missing in a page that came over http. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
