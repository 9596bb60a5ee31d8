// The HTTP API, called with the operator's token. The token is kept in this tab only, until the tab is closed.

/** Milliseconds that the server may take for an answer. */
const TIMEOUT = 20_000;
const TOKEN = "pushcast-token";

/** The token is missing or wrong. */
export class Unauthorized extends Error {}

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

async function call(method, path, body) {
  const { response, text } = await exchange(method, path, body);
  if (response.status === 401) throw new Unauthorized("This is not the API token.");
  const json = response.status === 204 ? {} : parsed(text);
  if (!response.ok) {
    const problem = new Error(json?.detail ?? `The server answers ${response.status}.`);
    throw Object.assign(problem, { status: response.status, field: json?.field });
  }
  if (!json) throw new Error("The server's answer makes no sense.");
  return json;
}

async function exchange(method, path, body) {
  const headers = { Authorization: `Bearer ${token.get()}` };
  if (body) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(TIMEOUT);
  try {
    const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal });
    return { response, text: await response.text() };
  } catch {
    throw new Error(signal.aborted ? "The server takes too long to answer." : "The server cannot be reached.");
  }
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
  stats: () => call("GET", "push/stats"),
  audience: (audience) => call("POST", "push/audience", { audience }),
  send: (message) => call("POST", "push/send", message),
  campaigns: (from) => call("GET", from ? `push/campaigns?from=${segment(from)}` : "push/campaigns"),
  campaign: (id) => call("GET", `push/campaigns/${segment(id)}`),
  cancel: (id) => call("POST", `push/campaigns/${segment(id)}/cancel`),
  resume: (id) => call("POST", `push/campaigns/${segment(id)}/resume`),
  schedules: () => call("GET", "push/schedules"),
  schedule: (schedule) => call("POST", "push/schedules", schedule),
  unschedule: (name) => call("DELETE", `push/schedules/${segment(name)}`),
};
