// Shows every push. Safari 18.4 and later shows declarative messages by itself, without this file.

self.addEventListener("push", (event) => {
  event.waitUntil(show(event.data));
});

async function show(data) {
  const { title, ...options } = read(data);
  await badge(data);
  await self.registration.showNotification(title, options);
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const page of pages) page.postMessage({ title, ...options });
}

// The number on the app's icon stands beside the notification. Not every browser has one.
async function badge(data) {
  try {
    const { app_badge } = data.json();
    if (Number.isInteger(app_badge)) await navigator.setAppBadge?.(app_badge);
  } catch {
    // Not JSON, or not allowed: the notification is what matters.
  }
}

// Declarative JSON first, then any JSON or text: a push that shows nothing costs the subscription on iOS.
function read(data) {
  const text = data?.text() ?? "";
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    return { title: "Notification", body: text };
  }
  const notification = json?.web_push === 8030 ? json.notification : json;
  if (typeof notification?.title !== "string") return { title: "Notification", body: text };
  const { navigate, actions = [], ...rest } = notification;
  const open = Object.fromEntries(actions.map((action) => [action.action, action.navigate]));
  return { ...rest, actions, data: { navigate, actions: open, data: notification.data } };
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { navigate, actions } = event.notification.data ?? {};
  event.waitUntil(open(actions?.[event.action] ?? navigate));
});

async function open(navigate) {
  const url = new URL(navigate ?? "./", self.registration.scope).href;
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = pages.find((page) => page.url === url);
  if (there) await there.focus();
  else await self.clients.openWindow(url);
}
