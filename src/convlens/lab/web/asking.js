// Questions to whoever holds the tensors, as promises over a model that only passes messages.

/**
 * What a host gives: anywidget's model. Ours implements it over HTTP, a notebook has its own.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: any) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, callback: (...args: any[]) => void) => void} on
 * @property {(event: string, callback: (...args: any[]) => void) => void} off
 * @property {(content: any, callbacks?: any, buffers?: ArrayBuffer[]) => void} send
 */

/** What went wrong, in the answerer's own sentence. */
export class Refusal extends Error {
  /** @param {string} sentence @param {number} status */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

let last = 0;

/**
 * Sends one question and waits for its answer.
 * @param {Model} model
 * @param {Record<string, any> & { ask: string }} question
 * @param {ArrayBuffer[]} [buffers]
 * @returns {Promise<{ content: any, buffers: ArrayBuffer[] }>}
 */
export function ask(model, question, buffers = []) {
  const id = ++last;
  return new Promise((resolve, reject) => {
    /** @param {any} content @param {(ArrayBuffer | DataView)[]} [given] */
    const answered = (content, given = []) => {
      if (content?.id !== id) return;
      model.off("msg:custom", answered);
      if (content.error) reject(new Refusal(content.error, content.status ?? 0));
      else resolve({ content: content.answer, buffers: given.map(plain) });
    };
    model.on("msg:custom", answered);
    model.send({ ...question, id }, undefined, buffers);
  });
}

/** @param {ArrayBuffer | DataView} buffer @returns {ArrayBuffer} */
function plain(buffer) {
  if (buffer instanceof ArrayBuffer) return buffer;
  const bytes = new Uint8Array(buffer.byteLength);
  bytes.set(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength));
  return bytes.buffer;
}
