// A page of its own as a host: where the reader stands is in the address bar, answers come from a function.

/**
 * What answers a question: its name, its parameters, and the file it brings; an envelope comes back.
 * @typedef {(question: string, asked: Record<string, unknown>, buffers: ArrayBuffer[]) => Promise<ArrayBuffer>} Answer
 */

/** The part of a state whose change is a new entry in the browser's history: not the place within a map. */
const place = (/** @type {string} */ state) => state.replace(/&(index|from|channel|scale|zoom|least|tint)=[^&]*/g, "");

/** @implements {Model} */
export class Host {
  /** @type {Map<string, Set<Listener>>} */
  #listeners = new Map();
  #state;

  /** @param {Answer} answer @param {string} [state] where the page opens, if its address does not say */
  constructor(answer, state = "") {
    this.answer = answer;
    this.#state = location.hash.slice(1) || state;
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
    this.answer(ask, asked, buffers).then(
      (envelope) => this.#emit("msg:custom", { id }, [envelope]),
      (error) => this.#emit("msg:custom", { id, error: error.message, status: error.status }),
    );
  }
}
