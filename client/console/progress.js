// Arithmetic over what the API says of a campaign: how far it is, and how fast.

import { isRunning } from "./status.js";

const sum = (...numbers) => numbers.reduce((total, n) => total + (n ?? 0), 0);

export const notAccepted = ({ mismatched, too_large, refused, failed }) => sum(mismatched, too_large, refused, failed);

/** How many messages these counts are about. */
export const messagesIn = (counts) => sum(counts.accepted, counts.retrying, counts.gone, notAccepted(counts));

/** All subscribers if the audience is `all`; otherwise those that were found so far. */
export function audienceSize({ audience, subscribers = 0, counts }) {
  return Math.max(audience === "all" ? subscribers : 0, messagesIn(counts));
}

/**
 * The share of the work that is done, from 0 to 1. The work is to read all subscribers, because it is not known beforehand
 * how many of them belong to the audience.
 */
export function progressOf(campaign) {
  if (campaign.status === "done") return 1;
  const { scanned = 0, subscribers = 0, counts } = campaign;
  const read = Math.max(scanned, messagesIn(counts));
  const all = Math.max(subscribers, read);
  return all ? (read - (counts.retrying ?? 0)) / all : 0;
}

/** Milliseconds from its start to its end, or to now while it runs; `undefined` if it was stopped before its end. */
export function timeTaken(campaign) {
  const end = campaign.finished_at ?? (isRunning(campaign.status) ? Date.now() : undefined);
  return end && new Date(end) - new Date(campaign.created_at);
}

/** How many looks at a campaign the rate is taken from. */
const SAMPLES = 6;

export class RateMeter {
  #samples = [];

  add({ scanned, counts }) {
    this.#samples = [...this.#samples, { at: performance.now(), read: scanned ?? messagesIn(counts) }].slice(-SAMPLES);
  }

  /** Messages a second: of the last seconds while it runs, of its whole time afterwards. */
  rate(campaign) {
    if (campaign.finished_at) {
      const seconds = timeTaken(campaign) / 1000;
      return Math.round(messagesIn(campaign.counts) / Math.max(seconds, 1));
    }
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!isRunning(campaign.status) || first === last) return 0;
    return Math.max(Math.round(((last.read - first.read) * 1000) / (last.at - first.at)), 0);
  }
}
