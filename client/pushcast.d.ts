// Types of pushcast.js.

export interface Options {
  /** Where the API is. Left out: the folder that `pushcast.js` was loaded from. */
  server?: string | URL;
  /** The service worker, on the page's own origin. Left out: `/service-worker.js`. */
  serviceWorker?: string | URL;
  /** The worker's scope. Left out: the folder of the worker. The page itself may be anywhere. */
  scope?: string | URL;
  /** Milliseconds that the server may take for an answer. Left out: 10 000. */
  timeout?: number;
}

export interface About {
  /** What the reader wants to hear of. Left out: kept; `null`: cleared. */
  tags?: string[] | null;
  /** Your own name for the reader. Left out: kept; `null`: cleared. */
  user?: string | null;
  /** Hex HMAC-SHA256 of `user` under the user secret: your backend makes it. */
  userSignature?: string;
}

/**
 * - `unsupported`: push is not to be had here; `why()` says why.
 * - `denied`: the reader, or the browser, has blocked notifications.
 * - `prompt`: not subscribed; `subscribe()` may ask.
 * - `subscribed`: this browser is subscribed, and the server was told.
 */
export type State = "unsupported" | "denied" | "prompt" | "subscribed";

/**
 * What the visit did: `nothing` (not subscribed), `current` (nothing to do), `refreshed` (the server was told again: once a
 * day, or since it was not told yet), `resubscribed` (the server's key had changed, or the browser had lost the subscription), `failed`
 * (the next visit tries again).
 */
export type Visit = "nothing" | "current" | "refreshed" | "resubscribed" | "failed";

export interface Subscribed {
  /** A secret between this browser and the server. */
  endpoint: string;
  /** How many browsers are subscribed. */
  count: number;
}

export interface Pushcast {
  /**
   * Asks the reader, subscribes and tells the server. Call it from a click. Called again, it changes what the server
   * knows, and asks nobody.
   */
  subscribe(about?: About): Promise<Subscribed>;
  /** Ends the subscription, also when the server cannot be reached. */
  unsubscribe(): Promise<void>;
  state(): Promise<State>;
  /** The browser's own subscription. */
  subscription(): Promise<PushSubscription | null> | null;
  /** A sentence for the reader; `null` when notifications can be had. */
  why(): string | null;
  /** What the visit at its creation did. Never rejects. */
  visited: Promise<Visit>;
}

/**
 * Creating it is a visit: it looks after the subscription that this browser may have already, and asks nobody. So is coming
 * back to a page that has been open for a day.
 */
export function pushcast(options?: Options): Pushcast;

/** A sentence that says why there are no notifications, for the reader of the page; `null` when there can be. */
export function why(): string | null;

/**
 * - `insecure`: the page came over http.
 * - `home-screen`: on iPhone and iPad, the site must be opened from the Home Screen.
 * - `unsupported`: this browser has no push here.
 * - `denied`: notifications are blocked.
 * - `dismissed`: the reader closed the question.
 * - `unasked`: the browser said no and asked nobody, as Safari does outside a click.
 * - `service-worker`: it cannot be registered or does not start.
 * - `push-service`: the browser cannot subscribe.
 * - `server`: yours is out of reach, refuses, or is not a pushcast server.
 */
export type Code =
  | "insecure"
  | "home-screen"
  | "unsupported"
  | "denied"
  | "dismissed"
  | "unasked"
  | "service-worker"
  | "push-service"
  | "server";

export class PushcastError extends Error {
  readonly code: Code;
  /** HTTP status of the server's answer, where there was one. */
  readonly status?: number;
}
