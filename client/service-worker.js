// The service worker of a site that pushcast sends to: it shows every push, and opens what is clicked.
//
// Host it on the site's own origin, or let the site's own worker import it:
//
//   importScripts("/pushcast-worker.js");
//
// Before the import, `self.pushcast` may hold settings: `title`, `body`, `icon`, `badge` and `navigate` for a notification
// that does not have its own; `server`, where the API is; `takeOver: false`, to let the previous worker live until its tabs
// are closed. A listener that the site adds before the import keeps a push to itself with
// `event.stopImmediatePropagation()`; it must then show a notification, because browsers punish a silent push.

"use strict";

// A worker that imports this file shares its global scope with it: the block keeps the names in here.
{
  const settings = { title: new URL(self.registration.scope).host, body: "There is something new.", ...self.pushcast };

  // Milliseconds. A browser gives an event half a minute or more; whatever hangs, the event ends before that.
  const EVENT_TIMEOUT = 20_000;
  const SERVER_TIMEOUT = 5_000;
  const RETRY_DELAYS = [0, 1_000, 3_000];

  function listen(type, handle) {
    self.addEventListener(type, (event) => {
      const work = handle(event).catch((error) => console.warn(`pushcast: ${type}:`, error));
      event.waitUntil(Promise.race([work, sleep(EVENT_TIMEOUT)]));
    });
  }

  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  if (settings.takeOver !== false) self.addEventListener("install", () => self.skipWaiting());

  // ---- push ----

  listen("push", async ({ data, notification }) => {
    // Declarative Web Push with `mutable`: the browser has read the message, and shows it unless the worker shows another.
    if (notification) return tellPages(notification);
    const { title, options, app_badge } = read(data);
    await show(title, options);
    const { body, icon } = options;
    const told = tellPages({ title, body, icon, navigate: options.data.navigate });
    await Promise.allSettled([setBadge(app_badge), told]);
  });

  /** Finds something to show in whatever was sent: a site whose pushes stay silent loses its subscriptions. */
  function read(data) {
    let text = "";
    let json;
    try {
      text = data?.text() ?? "";
      json = JSON.parse(text);
    } catch {
      return notificationOf({ body: text.trim() || settings.body });
    }
    if (typeof json === "string" || typeof json === "number") return notificationOf({ body: String(json) });
    // Declarative Web Push and FCM have a `notification` member; other senders put its members at the top.
    const content = isObject(json?.notification) ? json.notification : json;
    const members = isObject(content) ? content : {};
    return notificationOf(members, json?.app_badge ?? members.app_badge);
  }

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const textOf = (value) => (typeof value === "string" && value.trim() ? value : undefined);

  /** What `showNotification` takes, and the number for the app's badge. */
  function notificationOf(members, app_badge) {
    const { title, body, message, navigate, url, click_action, actions, data, app_badge: _, ...rest } = members;
    const ownTitle = textOf(title);
    const isAction = (it) => textOf(it?.title) && typeof it.action === "string";
    const buttons = Array.isArray(actions) ? actions.filter(isAction) : [];
    const { icon, badge } = settings;
    return {
      title: ownTitle ?? settings.title,
      options: {
        ...(icon && { icon }),
        ...(badge && { badge }),
        ...rest,
        body: textOf(body) ?? textOf(message) ?? (ownTitle ? "" : settings.body),
        actions: buttons.map(({ action, title, icon }) => ({ action, title, ...(icon && { icon }) })),
        data: {
          navigate: textOf(navigate) ?? textOf(url) ?? textOf(click_action) ?? textOf(data?.url) ?? settings.navigate,
          actions: Object.fromEntries(buttons.map((it) => [it.action, it.navigate])),
          data,
        },
      },
      app_badge,
    };
  }

  /** Where the browser rejects an option, the notification is shown without it. */
  async function show(title, options) {
    const { body, tag, data } = options;
    const { icon, ...withoutIcon } = options;
    for (const attempt of [options, withoutIcon, { body, tag, data }, { body, data }]) {
      try {
        return await self.registration.showNotification(title, attempt);
      } catch (error) {
        console.warn("pushcast: the notification is tried with fewer options:", error);
      }
    }
    await self.registration.showNotification(settings.title, { body: settings.body });
  }

  async function setBadge(number) {
    if (Number.isInteger(number) && number >= 0) await navigator.setAppBadge?.(number);
  }

  async function tellPages({ title, body, icon, navigate }) {
    for (const page of await openPages()) {
      page.postMessage({ type: "pushcast", title, body, icon, navigate: target(navigate) });
    }
  }

  const openPages = () => self.clients.matchAll({ type: "window", includeUncontrolled: true });

  // ---- click ----

  listen("notificationclick", async ({ notification, action }) => {
    notification.close();
    const { navigate, actions } = notification.data ?? {};
    await open(textOf(actions?.[action]) ?? textOf(navigate));
  });

  /** The URL that a click opens: the site itself if `navigate` is not a web address. */
  function target(navigate) {
    try {
      const url = new URL(navigate ?? "", self.registration.scope);
      if (["http:", "https:"].includes(url.protocol)) return url.href;
    } catch {
      // Not a URL.
    }
    return self.registration.scope;
  }

  async function open(navigate) {
    const url = target(navigate);
    const pages = await openPages();
    const samePage = pages.find((page) => page.url === url);
    // Without `navigate`, any page of the site will do.
    const anyPage = navigate ? undefined : pages.find((page) => page.url.startsWith(self.registration.scope));
    const page = samePage ?? anyPage;
    try {
      if (page) return await page.focus();
    } catch {
      // The browser does not let this page come to the front.
    }
    await self.clients.openWindow(url);
  }

  // ---- pushsubscriptionchange ----

  listen("pushsubscriptionchange", (event) =>
    // An open page may be renewing it too: pushcast.js takes the same lock.
    navigator.locks ? navigator.locks.request("pushcast", () => renew(event)) : renew(event),
  );

  /** Browsers differ in whether they pass the old subscription, and whether they have made a new one. */
  async function renew({ oldSubscription, newSubscription }) {
    const record = await readRecord();
    const server = new URL(settings.server ?? record?.server ?? "./", self.location);
    if (!server.pathname.endsWith("/")) server.pathname += "/";
    const old = record?.replaces ?? oldSubscription?.endpoint ?? record?.endpoint;
    let problem;
    for (const delay of RETRY_DELAYS) {
      await sleep(delay);
      try {
        return await resubscribe(server, record, old, newSubscription);
      } catch (error) {
        problem = error;
      }
    }
    // At the next visit, the page finds the old endpoint in the record and tells the server.
    throw problem;
  }

  async function resubscribe(server, record, old, newSubscription) {
    const { pushManager } = self.registration;
    let subscription = newSubscription ?? (await pushManager.getSubscription());
    if (!subscription) {
      const { publicKey } = await call(new URL("push/key", server));
      const applicationServerKey = bytes(publicKey);
      subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
    }
    const { endpoint } = subscription;
    const ownKey = subscription.options?.applicationServerKey;
    const key = ownKey ? base64url(new Uint8Array(ownKey)) : undefined;
    const body = { ...subscription.toJSON(), ...record?.said, applicationServerKey: key };
    if (old && old !== endpoint) body.replaces = old;
    await call(new URL("push/subscribe", server), body);
    await writeRecord({ endpoint, server: server.href, key, said: record?.said, refreshed: Date.now() });
  }

  async function call(url, body) {
    const options = body && { method: "POST", body: JSON.stringify(body) };
    const signal = AbortSignal.timeout(SERVER_TIMEOUT);
    const response = await fetch(url, { ...options, signal, cache: "no-store", credentials: "omit" });
    if (!response.ok) throw new Error(`${url.pathname} answers ${response.status}`);
    return response.json();
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

  // ---- the record of this scope that pushcast.js writes, too ----

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

  const { scope } = self.registration;
  const readRecord = () => transact("readonly", (store) => store.get(scope)).catch(() => undefined);
  const writeRecord = (record) => transact("readwrite", (store) => store.put(record, scope)).catch(() => undefined);
}
