// The view of one campaign: it follows the campaign until it is done, cancels it and resumes it.

import { api, Unauthorized } from "./api.js";
import { CampaignPanel } from "./campaign-panel.js";
import { announce, confirm } from "./dom.js";
import { isRunning } from "./status.js";

/** Milliseconds between two looks at a campaign that runs, and at one that stands still: somebody else may resume it. */
const RUNNING_INTERVAL = 1_000;
const IDLE_INTERVAL = 5_000;

/** Follows the campaign until `signal` is aborted; calls `signIn` when the server no longer accepts the token. */
export async function campaign(id, signal, signIn) {
  const now = await api.campaign(id);
  if (signal.aborted) return [];
  const follower = new CampaignFollower(id, signal, signIn);
  follower.show(now);
  follower.follow();
  return [follower.panel.element];
}

class CampaignFollower {
  panel = new CampaignPanel({ cancel: () => this.#cancel(), resume: () => this.#resume() });
  #id;
  #signal;
  #signIn;
  /** The status that is shown. */
  #status;
  #isChanging = false;
  /** How many times the operator has cancelled or resumed it here. */
  #changes = 0;

  constructor(id, signal, signIn) {
    this.#id = id;
    this.#signal = signal;
    this.#signIn = signIn;
  }

  show(campaign) {
    this.panel.show(campaign, this.#isChanging);
    if (campaign.status !== this.#status) announce(`The campaign is ${campaign.status}.`);
    this.#status = campaign.status;
  }

  async follow() {
    while (this.#status !== "done") {
      const interval = isRunning(this.#status) ? RUNNING_INTERVAL : IDLE_INTERVAL;
      await new Promise((resolve) => setTimeout(resolve, interval));
      if (this.#signal.aborted) return;
      if (!document.hidden && !this.#isBusy()) await this.#look();
      if (this.#signal.aborted) return;
    }
  }

  /** While a dialog is open, the page under it does not change. */
  #isBusy() {
    return this.#isChanging || document.querySelector("dialog");
  }

  async #look() {
    const changes = this.#changes;
    let now;
    let problem = "";
    try {
      now = await api.campaign(this.#id);
    } catch (error) {
      if (error instanceof Unauthorized && !this.#signal.aborted && !this.#isBusy()) return this.#signIn(error.message);
      problem = error.message;
    }
    // An answer to a question from before a change is out of date.
    if (this.#signal.aborted || this.#isBusy() || changes !== this.#changes) return;
    try {
      if (now) this.show(now);
    } catch {
      problem = "The server's answer makes no sense.";
    }
    this.panel.showLookProblem(problem);
  }

  async #cancel() {
    const text = "Subscribers who have not been reached yet will not be. You can resume it later.";
    if (await confirm("Cancel this campaign?", text, "Cancel it", true)) await this.#change(() => api.cancel(this.#id));
  }

  async #resume() {
    const text = "It continues with the subscribers who have not been reached yet.";
    if (await confirm("Resume this campaign?", text, "Resume it")) await this.#change(() => api.resume(this.#id));
  }

  async #change(request) {
    if (this.#isChanging) return;
    this.#isChanging = true;
    this.#changes += 1;
    this.panel.showChangeProblem("");
    try {
      const now = await request();
      if (!this.#signal.aborted) this.show(now);
    } catch (error) {
      if (this.#signal.aborted) announce(error.message);
      else if (error instanceof Unauthorized) this.#signIn(error.message);
      else this.panel.showChangeProblem(error.message);
    }
    this.#isChanging = false;
  }
}
