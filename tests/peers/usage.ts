// Calls that a site in TypeScript may make. `tests/peers.rs` checks them with the TypeScript compiler.

import { type Pushcast, PushcastError, pushcast, type State, type Visit, why } from "../../client/pushcast.js";

const push: Pushcast = pushcast({
  server: "https://push.example.org",
  serviceWorker: new URL("https://x.example/w.js"),
  scope: "/",
});
const state: State = await push.state();
const visit: Visit = await push.visited;
const { endpoint, count }: { endpoint: string; count: number } = await push.subscribe({
  tags: ["news"],
  user: "ada",
  userSignature: "00",
});
await push.subscribe({ tags: null, user: null });
await push.unsubscribe();
const sentence: string | null = why() ?? push.why();
const subscription: PushSubscription | null = await push.subscription();

try {
  await push.subscribe();
} catch (error) {
  if (error instanceof PushcastError && error.code === "denied") console.log(error.message, error.status);
}

// @ts-expect-error: tags are a list
await push.subscribe({ tags: "news" });
// @ts-expect-error: there is no such state
if (state === "maybe") console.log(visit, endpoint, count, sentence, subscription);
