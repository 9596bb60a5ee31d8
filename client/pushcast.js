// Web Push in a page, with a pushcast server behind it. An ES module without dependencies; types in pushcast.d.ts.
//
//   import { pushcast } from "./pushcast.js";
//   const push = pushcast({ server: "https://push.example.org" });
//   button.onclick = () => push.subscribe({ tags: ["news"] });
//
// Creating it is a visit: it renews the subscription that this browser may already have, and asks nobody.

const DAY = 24 * 60 * 60 * 1000;

/** Milliseconds until a visit that failed is tried again, when the reader comes back to the page. */
const RETRY_DELAY = 60 * 1000;

/** Milliseconds that a browser may take to make a subscription, and a worker to start. */
const BROWSER_TIMEOUT = 30_000;

/** `code` is for programs, `message` for people. */
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
 * @param {string | URL} [options.serviceWorker] on the page's own origin
 * @param {string | URL} [options.scope] of the service worker; its folder if left out
 * @param {number} [options.timeout] milliseconds that the server may take for an answer
 */
export function pushcast({ server, serviceWorker = "/service-worker.js", scope, timeout = 10_000 } = {}) {
  const base = folder(new URL(server ?? new URL(".", import.meta.url), document.baseURI));
  const script = new URL(serviceWorker, document.baseURI);
  const scopeUrl = new URL(scope ?? new URL(".", script), document.baseURI).href;
  const client = {
    server: connect(base, timeout),
    worker: workerFor(script, scopeUrl),
    memory: openMemory(scopeUrl),
  };
  return {
    subscribe: (about) => subscribe(client, about),
    unsubscribe: () => unsubscribe(client),
    state: () => state(client),
    subscription: () => (obstacle() ? null : client.worker.subscription()),
    why,
    visited: visitRegularly(client),
  };
}

// ---- what a page does ----

async function subscribe(client, about) {
  const problem = obstacle();
  if (problem) throw problem;
  // This comes first: a browser asks only within a click.
  await askPermission();
  return oneTabAtATime(async () => {
    const { server, worker, memory } = client;
    const [registration, key] = await Promise.all([worker.register(), server.key()]);
    const found = await registration.pushManager.getSubscription();
    const record = await noteReplaced(memory, found, key, await memory.get());
    return tellServer(client, await subscribeWith(registration, key), key, record, about);
  });
}

async function askPermission() {
  if (Notification.permission === "granted") return;
  const clicked = navigator.userActivation?.isActive ?? true;
  const answer = await Notification.requestPermission();
  if (answer === "denied") throw Notification.permission === "denied" ? denied() : unasked(clicked);
  if (answer !== "granted") throw new PushcastError("dismissed", "The browser's question was not answered.");
}

async function unsubscribe({ server, worker, memory }) {
  if (obstacle()) return;
  await oneTabAtATime(async () => {
    const subscription = await worker.subscription();
    const record = await memory.get();
    await memory.forget();
    const endpoint = subscription?.endpoint ?? record?.endpoint;
    // If the server cannot be told now, the push service's answer to its next message tells it.
    const told = endpoint && server.call("push/unsubscribe", { endpoint }).catch(() => {});
    await subscription?.unsubscribe();
    await told;
  });
}

async function state({ worker, memory }) {
  if (obstacle()) return "unsupported";
  if (Notification.permission === "denied") return "denied";
  const [subscription, record] = await Promise.all([worker.subscription(), memory.get()]);
  // A browser that stores nothing gives no record: then the subscription alone counts.
  const confirmed = record === undefined || record?.endpoint === subscription?.endpoint;
  return subscription && confirmed ? "subscribed" : "prompt";
}

/** Visits now, and whenever the reader comes back after a day: an app on the Home Screen stays open for days. */
function visitRegularly(client) {
  let visitedAt;
  const visitNow = () => {
    visitedAt = Date.now();
    return visit(client).catch((error) => {
      console.debug("pushcast: the subscription could not be renewed, until the next visit:", error.message);
      // A device that has just woken up is often not online yet.
      visitedAt -= DAY - RETRY_DELAY;
      return "failed";
    });
  };
  const visited = visitNow();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && Date.now() - visitedAt >= DAY) visitNow();
  });
  return visited;
}

/** Renews the subscription if that is needed, and never asks the reader. Returns a `Visit` of pushcast.d.ts. */
async function visit(client) {
  if (obstacle() || Notification.permission !== "granted") return "nothing";
  return oneTabAtATime(async () => {
    const { server, worker, memory } = client;
    const [found, record] = await Promise.all([worker.subscription(), memory.get()]);
    if (!found && !record) return "nothing";
    const key = await server.key();
    const isUsable = found && hasKey(found, key);
    if (isUsable && isFresh(record, found, server)) return "current";
    const noted = await noteReplaced(memory, found, key, record);
    const registration = await worker.register();
    const subscription = isUsable ? found : await subscribeWith(registration, key);
    await tellServerAgain(client, subscription, key, noted);
    return isUsable ? "refreshed" : "resubscribed";
  });
}

/** Whether this server was told of this subscription in the last 24 hours. */
function isFresh(record, subscription, server) {
  const age = Date.now() - (record?.refreshed ?? -Infinity);
  return record?.endpoint === subscription.endpoint && record?.server === server.href && age >= 0 && age < DAY;
}

/** Writes the endpoint down before its subscription is given up: `replaces` can then name it, whatever happens next. */
async function noteReplaced(memory, found, key, record) {
  if (!found || hasKey(found, key)) return record;
  const noted = { ...record, replaces: record?.replaces ?? found.endpoint };
  await memory.set(noted);
  return noted;
}

/**
 * Tells the server of the subscription, and remembers what it was told (`said`), to tell it again if the server loses it.
 * What `about` leaves out stays as it was.
 */
async function tellServer({ server, memory }, subscription, key, record, { tags, user, userSignature } = {}) {
  const said = { ...record?.said };
  if (tags !== undefined) said.tags = tags;
  if (user !== undefined) [said.user, said.userSignature] = [user, userSignature];
  const body = {
    ...subscription.toJSON(),
    applicationServerKey: base64url(key),
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    ...said,
  };
  const old = record?.replaces ?? record?.endpoint;
  if (old && old !== subscription.endpoint) body.replaces = old;
  const { count } = await server.call("push/subscribe", body);
  if (!Number.isInteger(count)) throw server.notPushcast();
  const { endpoint } = subscription;
  await memory.set({ endpoint, server: server.href, key: base64url(key), said, refreshed: Date.now() });
  return { endpoint, count };
}

/** Without the user if the signature is no longer valid: the server still knows whose subscription it is. */
async function tellServerAgain(client, subscription, key, record) {
  try {
    await tellServer(client, subscription, key, record);
  } catch (error) {
    if (error.status !== 403 || !record?.said) throw error;
    const { user, userSignature, ...said } = record.said;
    await tellServer(client, subscription, key, { ...record, said });
  }
}

// ---- the server ----

function connect(base, timeout) {
  const notPushcast = () => new PushcastError("server", `The server at ${base.host} is not a pushcast server.`);

  async function exchange(path, body) {
    const signal = AbortSignal.timeout(timeout);
    try {
      // Without a Content-Type, the browser sends no preflight request to another origin.
      const options = body && { method: "POST", body: JSON.stringify(body) };
      const response = await fetch(new URL(path, base), { ...options, signal, cache: "no-store", credentials: "omit" });
      return { response, text: await response.text() };
    } catch (error) {
      const failed = signal.aborted ? "takes too long to answer" : "cannot be reached";
      throw new PushcastError("server", `The server at ${base.host} ${failed}.`, { cause: error });
    }
  }

  async function call(path, body) {
    const { response, text } = await exchange(path, body);
    const json = parsed(text);
    if (!response.ok) {
      const message = json?.detail ?? `The server at ${base.host} answers ${response.status}.`;
      throw Object.assign(new PushcastError("server", message), { status: response.status });
    }
    if (json === null || typeof json !== "object") throw notPushcast();
    return json;
  }

  /** The VAPID public key: an uncompressed point on P-256. */
  async function key() {
    const { publicKey } = await call("push/key");
    let key;
    try {
      key = bytes(publicKey);
    } catch {
      throw notPushcast();
    }
    if (key.length !== 65 || key[0] !== 4) throw notPushcast();
    return key;
  }

  return { href: base.href, call, key, notPushcast };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// ---- the browser ----

/** Why there is no push here; `undefined` if there is. */
function obstacle() {
  if (!globalThis.isSecureContext) {
    return new PushcastError("insecure", "Notifications need https: this page came over http.");
  }
  if ("serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis) return undefined;
  // An iPad says that it is a Mac. No Mac has a touch screen.
  const isIos = /iP(hone|ad|od)/.test(navigator.userAgent) || (/Mac/.test(navigator.platform) && navigator.maxTouchPoints > 1);
  if (isIos && !navigator.standalone) {
    const message =
      "On iPhone and iPad, first add this site to the Home Screen (Share, then Add to Home Screen), and open it there.";
    return new PushcastError("home-screen", message);
  }
  if (isIos) return new PushcastError("unsupported", "Notifications need iOS 16.4 or later.");
  const message = "This browser does not support push messages here. It may in a window that is not private.";
  return new PushcastError("unsupported", message);
}

/** A sentence for the reader of the page that says why there are no notifications; `null` when there can be. */
export function why() {
  const problem = obstacle();
  if (problem) return problem.message;
  return Notification.permission === "denied" ? denied().message : null;
}

function denied() {
  const message =
    "Notifications are blocked for this site. Allow them in the browser's settings, next to the address. In a private window they stay blocked.";
  return new PushcastError("denied", message);
}

/** The browser refused without asking, and blocks nothing: Safari does so outside a click. */
function unasked(clicked) {
  const message = clicked
    ? "The browser did not ask. Notifications may be switched off for it in the system's settings, or this is a private window."
    : "The browser did not ask: it asks only within a click.";
  return new PushcastError("unasked", message);
}

function workerFor(script, scope) {
  /** `getRegistration` alone may also find the worker of a folder above. */
  async function registration() {
    const found = await navigator.serviceWorker.getRegistration(scope);
    return found?.scope === scope ? found : undefined;
  }

  async function subscription() {
    return (await (await registration())?.pushManager.getSubscription()) ?? null;
  }

  /** Registers the worker, which also updates one that is out of date, and waits until one is active. */
  async function register() {
    let registration;
    try {
      registration = await navigator.serviceWorker.register(script, { scope, updateViaCache: "none" });
    } catch (error) {
      const message = `The service worker ${script.pathname} cannot be registered: ${error.message}`;
      throw new PushcastError("service-worker", message, { cause: error });
    }
    if (!registration.active) {
      await inTime(activated(registration), "service-worker", "The service worker does not start.");
    }
    return registration;
  }

  return { subscription, register };
}

/** `navigator.serviceWorker.ready` would wait for a worker of this page, which may be outside the scope. */
function activated(registration) {
  const worker = registration.installing ?? registration.waiting;
  return new Promise((resolve, reject) => {
    const check = () => {
      if (registration.active || worker?.state === "activated") resolve();
      else if (!worker || worker.state === "redundant") {
        reject(new PushcastError("service-worker", "The service worker could not be installed."));
      }
    };
    worker?.addEventListener("statechange", check);
    check();
  });
}

/** A subscription for this key: the existing one, or a new one. */
async function subscribeWith({ pushManager }, key) {
  const found = await pushManager.getSubscription();
  if (found && hasKey(found, key)) return found;
  // A worker has one subscription, and only the key it was made with can send to it: one for another key must go first.
  await found?.unsubscribe();
  const subscribing = pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  try {
    return await inTime(subscribing, "push-service", "The browser's push service does not answer.");
  } catch (error) {
    if (error instanceof PushcastError) throw error;
    if (error.name === "NotAllowedError") throw denied();
    const message =
      "The browser cannot subscribe. Its push service may be out of reach or switched off, or this is a private window.";
    throw new PushcastError("push-service", message, { cause: error });
  }
}

function hasKey(subscription, key) {
  const own = subscription.options?.applicationServerKey;
  if (!own) return false;
  const ownBytes = new Uint8Array(own);
  return ownBytes.length === key.length && ownBytes.every((byte, i) => byte === key[i]);
}

/** Two tabs that renew the same subscription at once would undo each other's work. */
function oneTabAtATime(work) {
  return navigator.locks ? navigator.locks.request("pushcast", work) : work();
}

function inTime(promise, code, message) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new PushcastError(code, message)), BROWSER_TIMEOUT);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

// ---- memory ----

/**
 * One record for each scope, in IndexedDB; service-worker.js reads it too:
 * `{ endpoint, server, key, said, refreshed, replaces }`. Only the daily renewal depends on it, and what a server that lost
 * its table is told again. So a browser that stores nothing is no error: `get` gives `undefined` then, and `null` where
 * there is no record.
 */
function openMemory(scope) {
  const orUndefined = (promise) => promise.catch(() => undefined);
  return {
    get: () => orUndefined(transact("readonly", (store) => store.get(scope)).then((record) => record ?? null)),
    set: (record) => orUndefined(transact("readwrite", (store) => store.put(record, scope))),
    forget: () => orUndefined(transact("readwrite", (store) => store.delete(scope))),
  };
}

function transact(mode, use) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("pushcast", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("subscriptions");
    opening.onblocked = opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction("subscriptions", mode);
      const request = use(transaction.objectStore("subscriptions"));
      transaction.oncomplete = () => {
        database.close();
        resolve(request.result);
      };
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    };
  });
}

// ---- small things ----

function folder(url) {
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
