// The HTTP API, with the operator's token. The token stays in this tab, and goes when it is closed.

const PATIENCE = 20_000;
const KEPT = "pushcast-token";

/** The token is missing or wrong. */
export class Unauthorized extends Error {}

export const token = {
  get: () => sessionStorage.getItem(KEPT),
  set: (value) => sessionStorage.setItem(KEPT, value),
  forget: () => sessionStorage.removeItem(KEPT),
};

async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${token.get()}` };
  if (body) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(PATIENCE);
  let response, text;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal });
    text = await response.text();
  } catch {
    throw new Error(signal.aborted ? "The server takes too long to answer." : "The server cannot be reached.");
  }
  if (response.status === 401) throw new Unauthorized("This is not the API token.");
  const json = response.status === 204 ? {} : parsed(text);
  if (!response.ok) {
    const problem = new Error(json?.detail ?? `The server answers ${response.status}.`);
    throw Object.assign(problem, { status: response.status, field: json?.field });
  }
  if (!json) throw new Error("The server's answer makes no sense.");
  return json;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const segment = encodeURIComponent;

export const api = {
  stats: () => ask("GET", "push/stats"),
  audience: (audience) => ask("POST", "push/audience", { audience }),
  send: (message) => ask("POST", "push/send", message),
  campaigns: (from) => ask("GET", from ? `push/campaigns?from=${segment(from)}` : "push/campaigns"),
  campaign: (id) => ask("GET", `push/campaigns/${segment(id)}`),
  cancel: (id) => ask("POST", `push/campaigns/${segment(id)}/cancel`),
  resume: (id) => ask("POST", `push/campaigns/${segment(id)}/resume`),
  schedules: () => ask("GET", "push/schedules"),
  schedule: (schedule) => ask("POST", "push/schedules", schedule),
  unschedule: (name) => ask("DELETE", `push/schedules/${segment(name)}`),
};
