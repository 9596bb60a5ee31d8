// Runs node's web-push for comparison. Reads JSON and writes JSON.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const webpush = createRequire(`${process.cwd()}/`)("web-push");
const ask = JSON.parse(readFileSync(0, "utf8"));

const does = {
  generateVAPIDKeys: () => webpush.generateVAPIDKeys(),

  // Builds the request without sending it. web-push throws if it cannot use the keys.
  generateRequestDetails({ subscription, text, keys, encoding }) {
    webpush.setVapidDetails("mailto:tests@pushcast.dev", keys.publicKey, keys.privateKey);
    const options = { contentEncoding: encoding, TTL: 60 };
    const { headers, body } = webpush.generateRequestDetails(subscription, text, options);
    return { headers, body: body.toString("base64url") };
  },

  // Sends the cases in order. NODE_EXTRA_CA_CERTS names the trusted certificates.
  async sendNotification({ cases }) {
    const results = [];
    for (const { subscription, data, options } of cases) {
      const payload = data === null ? null : Buffer.from(data, "base64url");
      try {
        const { statusCode } = await webpush.sendNotification(subscription, payload, options);
        results.push({ result: { status: statusCode } });
      } catch (error) {
        results.push({ error: `${error.name}: ${error.message}`, status: error.statusCode });
      }
    }
    return results;
  },

  // Exports and options of web-push: docs/from-pywebpush.md must name them all.
  inventory() {
    let options = "";
    try {
      webpush.generateRequestDetails({ endpoint: "https://example.org/" }, null, { none: 1 });
    } catch (error) {
      options = error.message.slice(error.message.indexOf("[")).match(/\w+/g);
    }
    return { names: Object.keys(webpush), options };
  },
};

process.stdout.write(JSON.stringify(await does[ask.do](ask)));
