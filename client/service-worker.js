// The service worker of a site that pushcast sends to: it shows every push, and opens what is clicked.
//
// Host it on the site's own origin, or let the worker that the site has import it:
//
//   importScripts("/pushcast-worker.js");
//
// Before the import, `self.pushcast` may say otherwise: `title`, `body`, `icon`, `badge` and `navigate` of a notification
// that does not say them itself; `server`, where the API is; `takeOver: false`, to let the worker before it live until its
// tabs are closed. A listener that the site adds before the import keeps a push to itself with
// `event.stopImmediatePropagation()`; it must show a notification then: a browser takes silence for abuse.

(() => {
  const settings = { title: new URL(self.registration.scope).host, body: "There is something new.", ...self.pushcast };

  // A browser gives an event half a minute or more. Whatever hangs, the event ends before.
  const PATIENCE = 20_000;
  const SERVER_PATIENCE = 5_000;
  const RETRIES = [0, 1_000, 3_000];

  function listen(type, handle) {
    self.addEventListener(type, (event) => {
      const work = handle(event).catch((error) => console.warn(`pushcast: ${type}:`, error));
      event.waitUntil(Promise.race([work, pause(PATIENCE)]));
    });
  }

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  if (settings.takeOver !== false) self.addEventListener("install", () => self.skipWaiting());

  // ---- push ----

  listen("push", async ({ data, notification }) => {
    // Declarative Web Push, `mutable`: the browser has read the message, and shows it if nobody shows another.
    if (notification) return tellPages(notification);
    const { title, options, app_badge } = read(data);
    await show({ title, options });
    const { body, icon } = options;
    const told = tellPages({ title, body, icon, navigate: options.data.navigate });
    await Promise.allSettled([badge(app_badge), told]);
  });

  /** Whatever was sent, something to show: the silent lose their subscription. */
  function read(data) {
    let text = "";
    let json;
    try {
      text = data?.text() ?? "";
      json = JSON.parse(text);
    } catch {
      return of({ body: text.trim() || settings.body });
    }
    if (typeof json === "string" || typeof json === "number") return of({ body: String(json) });
    // Declarative Web Push; or the notification in the ways of other senders; or, of other JSON, that there is some.
    const said = isObject(json?.notification) ? json.notification : json;
    const declarative = isObject(said) ? said : {};
    return of(declarative, json?.app_badge ?? declarative.app_badge);
  }

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const words = (value) => (typeof value === "string" && value.trim() ? value : undefined);

  function of(said, app_badge) {
    const { title, body, message, navigate, url, click_action, actions, data, app_badge: _, ...rest } = said;
    const named = words(title);
    const list = Array.isArray(actions) ? actions.filter((it) => words(it?.title) && typeof it.action === "string") : [];
    const { icon, badge } = settings;
    return {
      title: named ?? settings.title,
      options: {
        ...(icon && { icon }),
        ...(badge && { badge }),
        ...rest,
        body: words(body) ?? words(message) ?? (named ? "" : settings.body),
        actions: list.map(({ action, title, icon }) => ({ action, title, ...(icon && { icon }) })),
        data: {
          navigate: words(navigate) ?? words(url) ?? words(click_action) ?? words(data?.url) ?? settings.navigate,
          actions: Object.fromEntries(list.map((it) => [it.action, it.navigate])),
          data,
        },
      },
      app_badge,
    };
  }

  /** A member that this browser does not take costs that member, not the notification. */
  async function show({ title, options }) {
    const { body, tag, data } = options;
    const { icon, ...without } = options;
    for (const attempt of [options, without, { body, tag, data }, { body, data }]) {
      try {
        return await self.registration.showNotification(title, attempt);
      } catch (error) {
        console.warn("pushcast: shown with less:", error);
      }
    }
    await self.registration.showNotification(settings.title, { body: settings.body });
  }

  async function badge(number) {
    if (Number.isInteger(number) && number >= 0) await navigator.setAppBadge?.(number);
  }

  async function tellPages({ title, body, icon, navigate }) {
    const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    for (const page of pages) page.postMessage({ type: "pushcast", title, body, icon, navigate: target(navigate) });
  }

  // ---- click ----

  listen("notificationclick", async ({ notification, action }) => {
    notification.close();
    const { navigate, actions } = notification.data ?? {};
    await open(words(actions?.[action]) ?? words(navigate));
  });

  function target(navigate) {
    try {
      const url = new URL(navigate ?? "", self.registration.scope);
      if (["http:", "https:"].includes(url.protocol)) return url.href;
    } catch {
      // Opening the site is better than nothing.
    }
    return self.registration.scope;
  }

  async function open(navigate) {
    const url = target(navigate);
    const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const there =
      pages.find((page) => page.url === url) ??
      // A click that asks for no page in particular: any page of the site will do.
      (navigate ? undefined : pages.find((page) => page.url.startsWith(self.registration.scope)));
    try {
      if (there) return await there.focus();
    } catch {
      // A tab that will not come to the front: another one.
    }
    await self.clients.openWindow(url);
  }

  // ---- pushsubscriptionchange ----

  listen("pushsubscriptionchange", (event) =>
    // A page that is open may be at the same work.
    navigator.locks ? navigator.locks.request("pushcast", () => renew(event)) : renew(event),
  );

  /** With the old subscription or without, with the new one or without: browsers differ. */
  async function renew({ oldSubscription, newSubscription }) {
    const known = await recall();
    const server = new URL(settings.server ?? known?.server ?? "./", self.location);
    if (!server.pathname.endsWith("/")) server.pathname += "/";
    const old = known?.replaces ?? oldSubscription?.endpoint ?? known?.endpoint;
    let problem;
    for (const wait of RETRIES) {
      await pause(wait);
      try {
        return await resubscribe(server, known, old, newSubscription);
      } catch (error) {
        problem = error;
      }
    }
    // The page finds the old endpoint in the record at the next visit, and tells the server then.
    throw problem;
  }

  async function resubscribe(server, known, old, newSubscription) {
    const { pushManager } = self.registration;
    let subscription = newSubscription ?? (await pushManager.getSubscription());
    if (!subscription) {
      const { publicKey } = await call(new URL("push/key", server));
      const applicationServerKey = bytes(publicKey);
      subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
    }
    const { endpoint } = subscription;
    const own = subscription.options?.applicationServerKey;
    const key = own ? base64url(new Uint8Array(own)) : undefined;
    const body = { ...subscription.toJSON(), ...known?.said, applicationServerKey: key };
    if (old && old !== endpoint) body.replaces = old;
    await call(new URL("push/subscribe", server), body);
    await record({ endpoint, server: server.href, key, said: known?.said, refreshed: Date.now() });
  }

  async function call(url, body) {
    const options = body && { method: "POST", body: JSON.stringify(body) };
    const signal = AbortSignal.timeout(SERVER_PATIENCE);
    const response = await fetch(url, { ...options, signal, cache: "no-store", credentials: "omit" });
    if (!response.ok) throw new Error(`${url.pathname} answers ${response.status}`);
    return response.json();
  }

  function bytes(text) {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  }

  function base64url(bytes) {
    return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }

  // ---- what pushcast.js has written down ----

  function stored(mode, use) {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open("pushcast", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("subscriptions");
      opening.onblocked = opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const transaction = opening.result.transaction("subscriptions", mode);
        const request = use(transaction.objectStore("subscriptions"));
        transaction.oncomplete = () => {
          opening.result.close();
          resolve(request.result);
        };
        transaction.onabort = transaction.onerror = () => reject(transaction.error);
      };
    });
  }

  const { scope } = self.registration;
  const recall = () => stored("readonly", (store) => store.get(scope)).catch(() => undefined);
  const record = (known) => stored("readwrite", (store) => store.put(known, scope)).catch(() => undefined);
})();
