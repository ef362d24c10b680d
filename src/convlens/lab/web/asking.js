// Questions to the holder of the tensors, as promises over a model that only passes messages.

import { unpack } from "./envelope.js";

/**
 * @typedef {import("./answers.js").QuestionTable} QuestionTable
 *
 * What a host gives: anywidget's model. The browser has its own over HTTP, a notebook another.
 * @typedef {object} Model
 * @property {(name: string) => unknown} get
 * @property {(name: string, value: string) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, callback: Listener) => void} on
 * @property {(event: string, callback: Listener) => void} off
 * @property {(content: Message, callbacks?: undefined, buffers?: ArrayBuffer[]) => void} send
 *
 * @typedef {{ id: number, ask: string } & Record<string, unknown>} Message
 * @typedef {{ id: number, error?: string, status?: number }} Reply the answer is its only buffer
 * @typedef {(content?: Reply, buffers?: (ArrayBuffer | DataView)[]) => void} Listener
 */

/** Why a question was refused, in the answerer's own sentence. */
export class Refusal extends Error {
  /** @param {string} sentence @param {number} status */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

let last = 0;

/**
 * Ask one question and wait for its answer.
 * @template {keyof QuestionTable} Q
 * @param {Model} model
 * @param {Q} question
 * @param {Parameters<QuestionTable[Q]>[0]} asked
 * @returns {Promise<ReturnType<QuestionTable[Q]>>}
 */
export async function ask(model, question, asked) {
  return /** @type {ReturnType<QuestionTable[Q]>} */ (await sent(model, { ask: question, ...asked }));
}

/**
 * Run the network on the bytes of a picture.
 * @param {Model} model
 * @param {string} name
 * @param {ArrayBuffer} picture
 * @param {number} slot the input it is for
 */
export async function look(model, name, picture, slot) {
  return /** @type {import("./answers.js").LookAnswer} */ (await sent(model, { ask: "look", name, slot }, [picture]));
}

/**
 * @param {Model} model
 * @param {{ ask: string } & Record<string, unknown>} content
 * @param {ArrayBuffer[]} [buffers]
 * @returns {Promise<unknown>}
 */
function sent(model, content, buffers = []) {
  const id = ++last;
  return new Promise((resolve, reject) => {
    /** @type {Listener} */
    const answered = (reply, given = []) => {
      if (reply?.id !== id) return;
      model.off("msg:custom", answered);
      if (reply.error) reject(new Refusal(reply.error, reply.status ?? 0));
      else resolve(unpack(plain(given[0])));
    };
    model.on("msg:custom", answered);
    model.send({ ...content, id }, undefined, buffers);
  });
}

/** @param {ArrayBuffer | DataView} buffer @returns {ArrayBuffer} */
function plain(buffer) {
  if (buffer instanceof ArrayBuffer) return buffer;
  const bytes = new Uint8Array(buffer.byteLength);
  bytes.set(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength));
  return bytes.buffer;
}
