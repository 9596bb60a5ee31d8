// Types of pushcast.js.

export interface Options {
  /** Where the API is. Default: the folder that `pushcast.js` was loaded from. */
  server?: string | URL;
  /** The service worker, on the page's own origin. Default: `/service-worker.js`. */
  serviceWorker?: string | URL;
  /** The worker's scope. Default: the folder of the worker. The page itself may be outside of it. */
  scope?: string | URL;
  /** Milliseconds that the server may take for an answer. Default: 10 000. */
  timeout?: number;
}

export interface About {
  /** What the reader wants to hear about. Left out: stays as it was; `null`: cleared. */
  tags?: string[] | null;
  /** Your own id of the reader. Left out: stays as it was; `null`: cleared. */
  user?: string | null;
  /** HMAC-SHA256 of `user` under the user secret, in hexadecimal: your backend makes it. */
  userSignature?: string;
}

/**
 * - `unsupported`: there is no push here; `why()` says why.
 * - `denied`: the reader or the browser has blocked notifications.
 * - `prompt`: not subscribed; `subscribe()` may ask.
 * - `subscribed`: this browser is subscribed, and the server was told.
 */
export type State = "unsupported" | "denied" | "prompt" | "subscribed";

/**
 * What a visit did:
 *
 * - `nothing`: this browser is not subscribed.
 * - `current`: the server was told in the last 24 hours, so there was nothing to do.
 * - `refreshed`: the server was told of the subscription.
 * - `resubscribed`: there is a new subscription, because the server's key has changed or the browser had lost the old one.
 * - `failed`: the next visit tries again.
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
   * Asks the reader for permission, subscribes and tells the server. Call it from a click. For a reader who is subscribed,
   * it asks nothing and changes what the server knows.
   */
  subscribe(about?: About): Promise<Subscribed>;
  /** Ends the subscription, even when the server cannot be reached. */
  unsubscribe(): Promise<void>;
  state(): Promise<State>;
  /** The browser's own subscription. */
  subscription(): Promise<PushSubscription | null> | null;
  /** A sentence for the reader that says why there are no notifications; `null` when there can be. */
  why(): string | null;
  /** What the visit at its creation did. It never rejects. */
  visited: Promise<Visit>;
}

/**
 * Creating it is a visit: it renews the subscription that this browser may already have, and asks nobody. Coming back to a
 * page that has been open for a day is a visit, too.
 */
export function pushcast(options?: Options): Pushcast;

/** A sentence for the reader of the page that says why there are no notifications; `null` when there can be. */
export function why(): string | null;

/**
 * - `insecure`: the page came over http, not https.
 * - `home-screen`: on iPhone and iPad, the site must be opened from the Home Screen.
 * - `unsupported`: this browser has no push here.
 * - `denied`: notifications are blocked.
 * - `dismissed`: the reader closed the browser's question without an answer.
 * - `unasked`: the browser refused without asking, as Safari does outside a click.
 * - `service-worker`: the worker cannot be registered or does not start.
 * - `push-service`: the browser cannot subscribe.
 * - `server`: your server is out of reach, refuses, or is not a pushcast server.
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
  /** The HTTP status of the server's answer, if there was one. */
  readonly status?: number;
}
