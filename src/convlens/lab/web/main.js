// The browser as a host: anywidget's model over fetch, the state in the address bar.

import { render } from "./stage.js";

/**
 * @typedef {import("./asking.js").Listener} Listener
 * @typedef {import("./asking.js").Message} Message
 * @typedef {import("./asking.js").Model} Model
 */

const TOKEN = "convlens-token";

/** Take the token from the fragment, where it comes once, and keep it out of sight from then on. */
function takeToken() {
  const found = /^#token=([\w-]+)(?:&(.*))?$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(TOKEN, found[1]);
    history.replaceState(null, "", found[2] ? `#${found[2]}` : location.pathname);
  }
  return sessionStorage.getItem(TOKEN) ?? "";
}

const token = takeToken();

/** The part of a state whose change is a new entry in the browser's history: not the place within a map. */
const place = (/** @type {string} */ state) => state.replace(/&(index|from|channel|scale|first|zoom|least|tint)=[^&]*/g, "");

/** @implements {Model} */
class Host {
  /** @type {Map<string, Set<Listener>>} */
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

  /** @param {string} name @param {string} value */
  set(name, value) {
    if (name !== "state" || value === this.#state) return;
    const first = this.#state === "" || place(value) === place(this.#state);
    this.#state = value;
    if (first) history.replaceState(null, "", `#${value}`);
    else history.pushState(null, "", `#${value}`);
  }

  save_changes() {}

  /** @param {string} event @param {Listener} callback */
  on(event, callback) {
    const known = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, known.add(callback));
  }

  /** @param {string} event @param {Listener} callback */
  off(event, callback) {
    this.#listeners.get(event)?.delete(callback);
  }

  /** @param {string} event @param {Parameters<Listener>} reply */
  #emit(event, ...reply) {
    for (const callback of [...(this.#listeners.get(event) ?? [])]) callback(...reply);
  }

  /** @param {Message} message @param {undefined} _ @param {ArrayBuffer[]} [buffers] */
  send({ id, ask, ...asked }, _, buffers = []) {
    answer(ask, asked, buffers).then(
      (envelope) => this.#emit("msg:custom", { id }, [envelope]),
      (error) => this.#emit("msg:custom", { id, error: error.message, status: error.status }),
    );
  }
}

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
    request = { method: "POST", headers: { ...headers, "x-convlens-name": name }, body: buffers[0] };
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
if (el) render({ model: new Host(), el });
