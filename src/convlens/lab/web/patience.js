// A model whose questions end in a sentence when the answerer is gone, as after a notebook's restart.

const PATIENCE = 120_000;

/**
 * Return a model that answers a question itself after a while: a kernel that was started again never does.
 * @param {Model} model
 * @param {number} [patience] in milliseconds
 * @returns {Model}
 */
export function patient(model, patience = PATIENCE) {
  /** @type {Set<Listener>} */
  const listeners = new Set();
  return {
    get: (name) => model.get(name),
    set: (name, value) => model.set(name, value),
    save_changes: () => model.save_changes(),
    on(event, callback) {
      model.on(event, callback);
      if (event === "msg:custom") listeners.add(callback);
    },
    off(event, callback) {
      model.off(event, callback);
      if (event === "msg:custom") listeners.delete(callback);
    },
    send(content, callbacks, buffers) {
      const waiting = [...listeners].at(-1);
      const error = "the notebook's kernel does not answer; is it busy, or was it started again? Run the cell again";
      const late = () => waiting && listeners.has(waiting) && waiting({ id: content.id, error, status: 0 });
      setTimeout(late, patience);
      model.send(content, callbacks, buffers);
    },
  };
}
