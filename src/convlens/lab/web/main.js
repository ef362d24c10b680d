// The browser as a host: anywidget's model over fetch, the state in the address bar.

import { render } from "./lab.js";

/** @typedef {import("./asking.js").Model} Model */

const TOKEN = "convlens-token";

/** The token comes in the fragment once, and is kept out of sight from then on. */
function takeToken() {
  const found = /^#token=([\w-]+)(?:&(.*))?$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(TOKEN, found[1]);
    history.replaceState(null, "", found[2] ? `#${found[2]}` : location.pathname);
  }
  return sessionStorage.getItem(TOKEN) ?? "";
}

const token = takeToken();

/** What a change of place is, among changes of the state: a new entry in the browser's history. */
const place = (/** @type {string} */ state) => state.replace(/&(scale|first|held|side|zoom|least|tint)=[^&]*/g, "");

/** @implements {Model} */
class Host {
  /** @type {Map<string, Set<(...args: any[]) => void>>} */
  #listeners = new Map();
  #state = location.hash.slice(1);

  constructor() {
    addEventListener("popstate", () => {
      this.#state = location.hash.slice(1);
      this.#emit("change:state");
    });
  }

  /** @param {string} name */
  get(name) {
    return name === "state" ? this.#state : undefined;
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    if (name !== "state" || value === this.#state) return;
    const first = this.#state === "" || place(value) === place(this.#state);
    this.#state = value;
    if (first) history.replaceState(null, "", `#${value}`);
    else history.pushState(null, "", `#${value}`);
  }

  save_changes() {}

  /** @param {string} event @param {(...args: any[]) => void} callback */
  on(event, callback) {
    const known = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, known.add(callback));
  }

  /** @param {string} event @param {(...args: any[]) => void} callback */
  off(event, callback) {
    this.#listeners.get(event)?.delete(callback);
  }

  /** @param {string} event @param {...any} args */
  #emit(event, ...args) {
    for (const callback of [...(this.#listeners.get(event) ?? [])]) callback(...args);
  }

  /** @param {any} content @param {any} _ @param {ArrayBuffer[]} [buffers] */
  send(content, _, buffers = []) {
    const { id, ask, ...rest } = content;
    answer(ask, rest, buffers).then(
      ([given, bytes]) => this.#emit("msg:custom", { id, answer: given }, bytes),
      (error) => this.#emit("msg:custom", { id, error: error.message, status: error.status }),
    );
  }
}

/**
 * One question over HTTP.
 * @param {string} question
 * @param {Record<string, any>} rest
 * @param {ArrayBuffer[]} buffers
 * @returns {Promise<[any, ArrayBuffer[]]>}
 */
async function answer(question, rest, buffers) {
  const headers = { "x-convlens-token": token };
  /** @type {RequestInit} */
  let request = { headers };
  let address = `/api/${question}`;
  if (question === "picture") {
    const name = encodeURIComponent(rest.name ?? "");
    request = { method: "POST", headers: { ...headers, "x-convlens-name": name }, body: buffers[0] };
  } else {
    address += `?${new URLSearchParams(Object.entries(rest).map(([k, v]) => [k, String(v)]))}`;
  }
  let response;
  try {
    response = await fetch(address, request);
  } catch {
    throw new Error("the lab does not answer; is `convlens lab` still running in the terminal?");
  }
  const json = (response.headers.get("content-type") ?? "").startsWith("application/json");
  if (!response.ok) {
    const sentence = json ? (await response.json()).error : `the lab answered ${response.status}`;
    throw Object.assign(new Error(sentence), { status: response.status });
  }
  return json ? [await response.json(), []] : [null, [await response.arrayBuffer()]];
}

const el = document.getElementById("lab");
if (el) render({ model: new Host(), el });
