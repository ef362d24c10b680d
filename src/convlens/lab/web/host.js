// A page of its own as a host: where the reader stands is in the address bar, answers come from a function.

/** The part of a state whose change is a new entry in the browser's history: not the place within a map. */
const place = (/** @type {string} */ state) => state.replace(/&(index|from|channel|scale|zoom|least|tint)=[^&]*/g, "");

/** @implements {Model} */
export class Host {
  /** Each with its event. @type {Map<Listener, string>} */ #listeners = new Map();
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
    history[first ? "replaceState" : "pushState"](null, "", `#${value}`);
  }

  save_changes() {}

  /** @param {string} event @param {Listener} callback */
  on(event, callback) {
    this.#listeners.set(callback, event);
  }

  /** @param {string} _ @param {Listener} callback */
  off(_, callback) {
    this.#listeners.delete(callback);
  }

  /** @param {string} event @param {Parameters<Listener>} reply */
  #emit(event, ...reply) {
    for (const [callback, to] of [...this.#listeners]) if (to === event) callback(...reply);
  }

  /** @param {Message} message @param {undefined} _ @param {ArrayBuffer[]} [buffers] */
  send({ id, ask, ...asked }, _, buffers = []) {
    this.answer(ask, asked, buffers).then((envelope) => this.#emit("msg:custom", { id }, [envelope]), (error) => this.#emit("msg:custom", { id, error: error.message }));
  }
}
