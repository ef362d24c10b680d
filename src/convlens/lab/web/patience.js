// A model whose questions end in a sentence when the answerer is gone, as after a notebook's restart.

const PATIENCE = 120_000; // milliseconds
const PULSE = 3_000; // between two looks whether the kernel that was asked is still there
const GONE = "the notebook's kernel was started again and no longer knows this page; run the cell again";
const SILENT = "the notebook's kernel does not answer; is it busy, or was it started again? Run the cell again";

/** Return a model that answers a question itself after a while: a kernel that was started again never does. @param {Model} model @param {number} [patience] @param {number} [pulse] @returns {Model} */
export function patient(model, patience = PATIENCE, pulse = PULSE) {
  /** @type {Set<Listener>} */ const listeners = new Set();
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
      const { id } = content, waiting = [...listeners].at(-1), last = Date.now() + patience, end = (/** @type {string} */ error) => waiting?.({ id, error });
      const send = (/** @type {Parameters<Model["send"]>} */ ...sent) => {
        try {
          model.send(...sent);
          setTimeout(look, Math.min(pulse, patience));
        } catch { // Jupyter's model does not send to a kernel that has gone
          end(GONE);
        }
      };
      const look = () => {
        if (!waiting || !listeners.has(waiting)) return;
        if (Date.now() >= last) end(SILENT);
        else send({ id, ask: "" }); // is not answered
      };
      send(content, callbacks, buffers);
    },
  };
}
