// Web Push in a page, with a pushcast server behind it. An ES module without dependencies; types in pushcast.d.ts.
//
//   import { pushcast } from "./pushcast.js";
//   const push = pushcast({ server: "https://push.example.org" });
//   button.onclick = () => push.subscribe({ tags: ["news"] });
//
// Creating it is a visit: it looks after the subscription that this browser may have already.

const DAY = 24 * 60 * 60 * 1000;

/** How soon a visit that failed is tried again, when the reader comes back to the page. */
const PAUSE = 60 * 1000;

/** How long a browser may take to make a subscription, and a worker to start. */
const BROWSER_PATIENCE = 30_000;

/** Why something could not be done: `code` for programs, `message` for people. */
export class PushcastError extends Error {
  name = "PushcastError";

  constructor(code, message, options) {
    super(message, options);
    this.code = code;
  }
}

/**
 * @param {object} [options]
 * @param {string | URL} [options.server] where the API is; the folder of this file if left out
 * @param {string | URL} [options.serviceWorker] of the page's own origin
 * @param {string | URL} [options.scope] of the service worker; its folder if left out
 * @param {number} [options.timeout] milliseconds that the server may take for an answer
 */
export function pushcast({ server, serviceWorker = "/service-worker.js", scope, timeout = 10_000 } = {}) {
  const base = folder(new URL(server ?? new URL(".", import.meta.url), document.baseURI));
  const worker = new URL(serviceWorker, document.baseURI);
  const within = new URL(scope ?? new URL(".", worker), document.baseURI).href;
  const memory = remember(within);

  async function call(path, body) {
    const url = new URL(path, base);
    const signal = AbortSignal.timeout(timeout);
    let response, text;
    try {
      // No Content-Type: with one, a page of another origin would have to ask first.
      const options = body && { method: "POST", body: JSON.stringify(body) };
      response = await fetch(url, { ...options, signal, cache: "no-store", credentials: "omit" });
      text = await response.text();
    } catch (error) {
      const failed = signal.aborted ? "takes too long to answer" : "cannot be reached";
      throw new PushcastError("server", `The server at ${base.host} ${failed}.`, { cause: error });
    }
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    if (!response.ok) {
      const message = json?.detail ?? `The server at ${base.host} answers ${response.status}.`;
      throw Object.assign(new PushcastError("server", message), { status: response.status });
    }
    if (json === null || typeof json !== "object") throw nonsense();
    return json;
  }

  const nonsense = () => new PushcastError("server", `What ${base.host} answers is not a pushcast server's.`);

  async function serverKey() {
    const { publicKey } = await call("push/key");
    let key;
    try {
      key = bytes(publicKey);
    } catch {
      throw nonsense();
    }
    if (key.length !== 65 || key[0] !== 4) throw nonsense();
    return key;
  }

  /** The registration of this scope itself: `getRegistration` would also give one of a folder above. */
  async function registration() {
    const found = await navigator.serviceWorker.getRegistration(within);
    return found?.scope === within ? found : undefined;
  }

  async function current() {
    return (await (await registration())?.pushManager.getSubscription()) ?? null;
  }

  /** Registers the worker, which brings a stale one up to date, and waits until one is active. */
  async function register() {
    let made;
    try {
      made = await navigator.serviceWorker.register(worker, { scope: within, updateViaCache: "none" });
    } catch (error) {
      const message = `The service worker ${worker.pathname} cannot be registered: ${error.message}`;
      throw new PushcastError("service-worker", message, { cause: error });
    }
    if (!made.active) await patiently("service-worker", "The service worker does not start.", activated(made));
    return made;
  }

  /** A subscription made with this key: the one there is, or a new one. */
  async function subscribed(made, key) {
    const there = await made.pushManager.getSubscription();
    if (there && sameKey(there, key)) return there;
    // What it was made with is what only its own key can reach: it goes, whoever made it.
    await there?.unsubscribe();
    const making = made.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    try {
      return await patiently("push-service", "The browser's push service does not answer.", making);
    } catch (error) {
      if (error instanceof PushcastError) throw error;
      if (error.name === "NotAllowedError") throw denied();
      const message =
        "The browser cannot subscribe. Its push service may be out of reach or switched off, or this is a private window.";
      throw new PushcastError("push-service", message, { cause: error });
    }
  }

  /** Tells the server, and remembers what it was told: what was told once is told again, should the server lose it. */
  async function tell(subscription, key, known, { tags, user, userSignature } = {}) {
    const said = { ...known?.said };
    if (tags !== undefined) said.tags = tags;
    if (user !== undefined) [said.user, said.userSignature] = [user, userSignature];
    const body = {
      ...subscription.toJSON(),
      applicationServerKey: base64url(key),
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      ...said,
    };
    const old = known?.replaces ?? known?.endpoint;
    if (old && old !== subscription.endpoint) body.replaces = old;
    const { count } = await call("push/subscribe", body);
    if (!Number.isInteger(count)) throw nonsense();
    const { endpoint } = subscription;
    await memory.set({ endpoint, server: base.href, key: base64url(key), said, refreshed: Date.now() });
    return { endpoint, count };
  }

  async function subscribe(options = {}) {
    if (obstacle()) throw obstacle();
    // First of all: a browser asks only within a click.
    if (Notification.permission !== "granted") {
      const clicked = navigator.userActivation?.isActive ?? true;
      const answer = await Notification.requestPermission();
      if (answer === "denied") throw Notification.permission === "denied" ? denied() : unasked(clicked);
      if (answer !== "granted") throw new PushcastError("dismissed", "The browser's question was not answered.");
    }
    return alone(async () => {
      const [made, key] = await Promise.all([register(), serverKey()]);
      let known = await memory.get();
      known = await keepOld(await made.pushManager.getSubscription(), key, known);
      return tell(await subscribed(made, key), key, known, options);
    });
  }

  /** Before a subscription is given up, its endpoint is written down: whatever happens then, `replaces` can name it. */
  async function keepOld(there, key, known) {
    if (!there || sameKey(there, key)) return known;
    const noted = { ...known, replaces: known?.replaces ?? there.endpoint };
    await memory.set(noted);
    return noted;
  }

  async function unsubscribe() {
    if (obstacle()) return;
    await alone(async () => {
      const subscription = await current();
      const known = await memory.get();
      await memory.forget();
      const endpoint = subscription?.endpoint ?? known?.endpoint;
      // A server that does not hear of it now hears it from the push service, at the next message.
      const told = endpoint && call("push/unsubscribe", { endpoint }).catch(() => {});
      await subscription?.unsubscribe();
      await told;
    });
  }

  async function state() {
    if (obstacle()) return "unsupported";
    if (Notification.permission === "denied") return "denied";
    const [subscription, known] = await Promise.all([current(), memory.get()]);
    // Where nothing can be remembered, the browser's word is enough.
    const confirmed = known === undefined || known?.endpoint === subscription?.endpoint;
    return subscription && confirmed ? "subscribed" : "prompt";
  }

  /** Looks after what is there, and never asks: see `Visit` in pushcast.d.ts. */
  async function visit() {
    if (obstacle() || Notification.permission !== "granted") return "nothing";
    return alone(async () => {
      const [there, known] = await Promise.all([current(), memory.get()]);
      if (!there && !known) return "nothing";
      const key = await serverKey();
      const lasting = there && sameKey(there, key);
      const since = Date.now() - (known?.refreshed ?? -Infinity);
      const fresh = known?.endpoint === there?.endpoint && known?.server === base.href && since >= 0 && since < DAY;
      if (lasting && fresh) return "current";
      const noted = await keepOld(there, key, known);
      const made = await register();
      const subscription = lasting ? there : await subscribed(made, key);
      try {
        await tell(subscription, key, noted);
      } catch (error) {
        // A signature that is good no more: the server still knows whose it is.
        if (error.status !== 403 || !noted?.said) throw error;
        const { user, userSignature, ...said } = noted.said;
        await tell(subscription, key, { ...noted, said });
      }
      return lasting ? "refreshed" : "resubscribed";
    });
  }

  let looked;

  function look() {
    looked = Date.now();
    return visit().catch((error) => {
      console.debug("pushcast: the subscription could not be looked after, until the next visit:", error.message);
      // Who comes back to a page is often not online yet.
      looked -= DAY - PAUSE;
      return "failed";
    });
  }

  const visited = look();
  // An app on the Home Screen stays open for days: to come back to it is a visit too.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && Date.now() - looked >= DAY) look();
  });
  return { subscribe, unsubscribe, state, subscription: () => (obstacle() ? null : current()), why, visited };
}

/** A sentence that says why there are no notifications, for the reader of the page; `null` when there can be. */
export function why() {
  if (obstacle()) return obstacle().message;
  return Notification.permission === "denied" ? denied().message : null;
}

function obstacle() {
  if (!globalThis.isSecureContext) {
    return new PushcastError("insecure", "Notifications need https: this page came over http.");
  }
  if ("serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis) return null;
  // An iPad says that it is a Mac, which has no touch screen.
  const ios = /iP(hone|ad|od)/.test(navigator.userAgent) || (/Mac/.test(navigator.platform) && navigator.maxTouchPoints > 1);
  if (ios && !navigator.standalone) {
    const message = "On iPhone and iPad, first add this site to the Home Screen (Share, then Add to Home Screen), and open it there.";
    return new PushcastError("home-screen", message);
  }
  if (ios) return new PushcastError("unsupported", "Notifications need iOS 16.4 or later.");
  return new PushcastError("unsupported", "This browser has no push messages here. It may have them in a window that is not private.");
}

function denied() {
  const message =
    "Notifications are blocked for this site. Allow them in the browser's settings, next to the address. In a private window they stay blocked.";
  return new PushcastError("denied", message);
}

/** Safari refuses without asking, and blocks nothing. */
function unasked(clicked) {
  const message = clicked
    ? "The browser did not ask. Notifications may be switched off for it in the system's settings, or this is a private window."
    : "The browser did not ask: it asks only within a click.";
  return new PushcastError("unasked", message);
}

/** One tab at a time: two that renew the same subscription would undo each other's work. */
function alone(work) {
  return navigator.locks ? navigator.locks.request("pushcast", work) : work();
}

function patiently(code, message, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new PushcastError(code, message)), BROWSER_PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** `navigator.serviceWorker.ready` would wait for a worker of this page, which may be out of scope. */
function activated(registration) {
  const worker = registration.installing ?? registration.waiting;
  return new Promise((resolve, reject) => {
    const look = () => {
      if (registration.active || worker?.state === "activated") resolve();
      else if (!worker || worker.state === "redundant") {
        reject(new PushcastError("service-worker", "The service worker could not be installed."));
      }
    };
    worker?.addEventListener("statechange", look);
    look();
  });
}

function sameKey(subscription, key) {
  const own = subscription.options?.applicationServerKey;
  if (!own) return false;
  const made = new Uint8Array(own);
  return made.length === key.length && made.every((byte, i) => byte === key[i]);
}

function folder(url) {
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * One record for each scope, in IndexedDB: the worker reads it too. Nothing depends on it but the daily rhythm and what a
 * server that lost its rows is told again, so a browser that keeps nothing is no error: `get` gives `undefined` then, and
 * `null` where there is no record.
 */
function remember(scope) {
  const on = (mode, use) =>
    new Promise((resolve, reject) => {
      const opening = indexedDB.open("pushcast", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("subscriptions");
      opening.onblocked = opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const transaction = opening.result.transaction("subscriptions", mode);
        const request = use(transaction.objectStore("subscriptions"));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = transaction.onerror = () => reject(transaction.error);
        transaction.addEventListener("complete", () => opening.result.close());
      };
    });
  const orNothing = async (work) => {
    try {
      return await work();
    } catch {
      return undefined;
    }
  };
  return {
    get: () => orNothing(async () => (await on("readonly", (store) => store.get(scope))) ?? null),
    set: (record) => orNothing(() => on("readwrite", (store) => store.put(record, scope))),
    forget: () => orNothing(() => on("readwrite", (store) => store.delete(scope))),
  };
}
