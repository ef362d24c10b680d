// The browser as a host: anywidget's model over fetch, the state in the address bar.

import { Host } from "./host.js";
import { render } from "./stage.js";

const TOKEN = "convlens-token";

/** Take the token from the fragment, where it comes once, and keep it out of sight from then on. */
function takeToken() {
  const found = /^#token=([\w-]+)(?:&(.*))?$/.exec(location.hash);
  if (found) history.replaceState(null, "", found[2] ? `#${found[2]}` : location.pathname);
  try {
    if (found) sessionStorage.setItem(TOKEN, found[1]);
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch { // storage is switched off: the token lives as long as the page
    return found?.[1] ?? "";
  }
}

const token = takeToken();

/**
 * Ask one question over HTTP.
 * @param {string} question
 * @param {Record<string, unknown>} asked
 * @param {ArrayBuffer[]} buffers
 * @returns {Promise<ArrayBuffer>} the envelope of its answer
 */
async function answer(question, asked, buffers) {
  const headers = { "x-convlens-token": token };
  /** @type {RequestInit} */
  let request = { headers };
  let address = `/api/${question}`;
  if (question === "look") {
    const name = encodeURIComponent(String(asked.name));
    request = { method: "POST", headers: { ...headers, "x-convlens-name": name, "x-convlens-slot": String(asked.slot ?? 0) }, body: buffers[0] };
  } else {
    const given = Object.entries(asked).filter(([, part]) => part !== undefined);
    address += `?${new URLSearchParams(given.map(([name, part]) => [name, String(part)]))}`;
  }
  let response;
  try {
    response = await fetch(address, request);
  } catch {
    throw new Error("the lab does not answer; is `convlens lab` still running in the terminal?");
  }
  if (response.ok) return response.arrayBuffer();
  const json = (response.headers.get("content-type") ?? "").startsWith("application/json");
  const sentence = json ? (await response.json()).error : `the lab answered ${response.status}`;
  throw Object.assign(new Error(sentence), { status: response.status });
}

const el = document.getElementById("stage");
if (el) render({ model: new Host(answer), el });
