// The questions' memory: a sheet or a number that the page has is not asked for again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Questions } from "../../../src/convlens/lab/web/questions.js";

/** @param {object} answer @returns {ArrayBuffer} */
function enveloped(answer) {
  const text = new TextEncoder().encode(JSON.stringify({ answer, buffers: [], odd: [] }));
  return Uint8Array.from([text.length & 255, text.length >> 8, 0, 0, ...text]).buffer;
}

/** A host that answers from a function, and the questions it was asked. */
function host(/** @type {(question: any) => object} */ answer) {
  /** @type {((...args: any[]) => void)[]} */
  let callbacks = [];
  /** @type {any[]} */
  const asked = [];
  const model = {
    get: () => undefined, set() {}, save_changes() {},
    on: (/** @type {string} */ _, /** @type {any} */ callback) => void callbacks.push(callback),
    off: (/** @type {string} */ _, /** @type {any} */ callback) => { callbacks = callbacks.filter((c) => c !== callback); },
    send: async (/** @type {any} */ question) => {
      asked.push(question);
      await null;
      const given = answer(question);
      const reply = "error" in given ? [{ id: question.id, ...given }] : [{ id: question.id }, [enveloped(given)]];
      for (const callback of callbacks) callback(...reply);
    },
  };
  const questions = new Questions(model);
  questions.about(1);
  return { questions, asked };
}

test("an answer that the page has is not asked for again, until another recording", async () => {
  const { questions, asked } = host(() => ({ maps: 1 }));
  for (let i = 0; i < 3; i++) await questions.once("sheet", { value: 7, first: 0 });
  assert.equal(asked.length, 1);
  questions.about(2);
  await questions.once("sheet", { value: 7, first: 0 });
  questions.about(1);
  await questions.once("sheet", { value: 7, first: 0 });
  assert.deepEqual(asked.map((q) => q.recording), [1, 2]);
});

test("a refusal is not kept", async () => {
  const { questions, asked } = host(() => ({ error: "recording 1 is gone", status: 409 }));
  for (let i = 0; i < 2; i++) {
    await assert.rejects(questions.once("number", { value: 7, index: [0] }), { message: "recording 1 is gone" });
  }
  assert.equal(asked.length, 2);
});

test("only the latest answers are kept", async () => {
  const { questions, asked } = host(() => ({ maps: 1 }));
  for (let value = 0; value < 40; value++) await questions.once("sheet", { value, first: 0 });
  await questions.once("sheet", { value: 39, first: 0 });
  assert.equal(asked.length, 40);
  await questions.once("sheet", { value: 0, first: 0 });
  assert.equal(asked.length, 41);
});
