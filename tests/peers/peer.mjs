// What node's web-push makes of what pushcast makes. JSON in, JSON out.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const webpush = createRequire(`${process.cwd()}/`)("web-push");
const ask = JSON.parse(readFileSync(0, "utf8"));

const does = {
  generateVAPIDKeys: () => webpush.generateVAPIDKeys(),

  // Refuses keys that it cannot use; the request is built and not sent.
  generateRequestDetails({ subscription, text, keys, encoding }) {
    webpush.setVapidDetails("mailto:tests@pushcast.dev", keys.publicKey, keys.privateKey);
    const options = { contentEncoding: encoding, TTL: 60 };
    const { headers, body } = webpush.generateRequestDetails(subscription, text, options);
    return { headers, body: body.toString("base64url") };
  },
};

process.stdout.write(JSON.stringify(does[ask.do](ask)));
