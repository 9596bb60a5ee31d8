// The demo page: one button, and what arrived.

const subscribeButton = document.querySelector("#subscribe");
const unsubscribeButton = document.querySelector("#unsubscribe");
const status = document.querySelector("#status");
const arrived = document.querySelector("#arrived");

const say = (text) => (status.textContent = text);

async function call(path, body) {
  const options = body && { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const json = await response.json();
  if (!response.ok) throw new Error(json.detail ?? response.statusText);
  return json;
}

function bytes(base64url) {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function subscribe() {
  const registration = await navigator.serviceWorker.register("service-worker.js");
  await navigator.serviceWorker.ready;
  const { publicKey } = await call("push/key");
  const applicationServerKey = bytes(publicKey);
  const options = { userVisibleOnly: true, applicationServerKey };
  let subscription;
  try {
    subscription = await registration.pushManager.subscribe(options);
  } catch (error) {
    // Subscribed with another server's key: start anew.
    if (error.name !== "InvalidStateError") throw error;
    await (await registration.pushManager.getSubscription())?.unsubscribe();
    subscription = await registration.pushManager.subscribe(options);
  }
  const visitor = await call("demo-visitor");
  const { count } = await call("push/subscribe", {
    ...subscription.toJSON(),
    ...visitor,
    applicationServerKey: publicKey,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  });
  say(`Subscribed, as one of ${count}. Now send.`);
  unsubscribeButton.hidden = false;
}

async function unsubscribe() {
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  if (subscription) {
    await call("push/unsubscribe", { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
  }
  say("Unsubscribed.");
  unsubscribeButton.hidden = true;
}

function onClick(button, action) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await action();
    } catch (error) {
      say(`That did not work: ${error.message}`);
    }
    button.disabled = false;
  });
}

if (!window.isSecureContext) {
  say("Push needs https, or localhost.");
} else if (!("serviceWorker" in navigator) || !("PushManager" in window)) {
  say("This browser has no push here. On iOS, add the page to the Home Screen first.");
} else {
  onClick(subscribeButton, subscribe);
  onClick(unsubscribeButton, unsubscribe);
  subscribeButton.disabled = false;
  const registration = await navigator.serviceWorker.getRegistration();
  unsubscribeButton.hidden = !(await registration?.pushManager.getSubscription());
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    const item = document.createElement("li");
    item.textContent = [new Date().toLocaleTimeString(), data.title, data.body].filter(Boolean).join(" · ");
    arrived.prepend(item);
  });
}
