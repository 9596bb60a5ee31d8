// The states of a campaign: `planned`, `running`, `done`, `halted` (by errors) and `cancelled` (by the operator).

import { h } from "./dom.js";

const COLOURS = { planned: "busy", running: "busy", done: "good", halted: "bad", cancelled: "warn" };

export const isRunning = (status) => status === "planned" || status === "running";
export const isResumable = (status) => status === "halted" || status === "cancelled";

export const statusPill = (status) => h("span", { className: `pill ${COLOURS[status] ?? ""}` }, status);
