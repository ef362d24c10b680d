// Questions to the holder of the tensors, as promises over a model that only passes messages.

import { unpack } from "./envelope.js";

let last = 0;

/**
 * Ask one question and wait for its answer.
 * @template {keyof QuestionTable} Q @param {Model} model @param {Q} question @param {Parameters<QuestionTable[Q]>[0]} asked
 */
export const ask = (model, question, asked) => sent(model, { ask: question, ...asked }).then((answer) => /** @type {ReturnType<QuestionTable[Q]>} */ (answer));

/** Run the network on a picture. @param {Model} model @param {string} name @param {ArrayBuffer} picture @param {number} slot the input it is for */
export const look = (model, name, picture, slot) => sent(model, { ask: "look", name, slot }, [picture]);

/** @param {Model} model @param {Omit<Message, "id">} content @param {ArrayBuffer[]} [buffers] @returns {Promise<object>} */
function sent(model, content, buffers = []) {
  const id = ++last;
  return new Promise((resolve, reject) => {
    /** @type {Listener} */
    const answered = (reply, [given] = []) => {
      if (reply?.id !== id) return;
      model.off("msg:custom", answered);
      if (reply.error) reject(new Error(reply.error)); // in the answerer's own sentence
      else resolve(unpack(given instanceof ArrayBuffer ? given : new Uint8Array(given.buffer, given.byteOffset, given.byteLength).slice().buffer));
    };
    model.on("msg:custom", answered);
    model.send(/** @type {Message} */ ({ ...content, id }), undefined, buffers);
  });
}
