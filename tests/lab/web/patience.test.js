// A notebook's model ends a question itself when no kernel answers it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "../../../src/convlens/lab/web/asking.js";
import { patient } from "../../../src/convlens/lab/web/patience.js";

/** A model of anywidget, that hands each message to a function. */
function model(/** @type {(content: any, reply: (...given: any[]) => void) => void} */ send) {
  /** @type {Set<(...given: any[]) => void>} */
  const listeners = new Set();
  return {
    get: () => "", set() {}, save_changes() {},
    on: (/** @type {string} */ _, /** @type {any} */ callback) => void listeners.add(callback),
    off: (/** @type {string} */ _, /** @type {any} */ callback) => void listeners.delete(callback),
    send: (/** @type {any} */ content) => send(content, (...given) => [...listeners].forEach((call) => call(...given))),
  };
}

test("a kernel that does not answer ends a question with a sentence", async () => {
  const dead = patient(model(() => {}), 5);
  await assert.rejects(ask(dead, "picture", { recording: 1 }), /kernel does not answer/);
});

test("an answer in time is the answer, and each question ends alone", async () => {
  const text = new TextEncoder().encode(JSON.stringify({ answer: { largest: 3 }, buffers: [], odd: [] }));
  const envelope = Uint8Array.from([text.length, 0, 0, 0, ...text]).buffer;
  const alive = patient(model((content, reply) => content.recording === 1 && setTimeout(() => reply({ id: content.id }, [envelope]), 1)), 30);
  const [answered, late] = await Promise.allSettled([ask(alive, "picture", { recording: 1 }), ask(alive, "picture", { recording: 2 })]);
  assert.deepEqual(answered, { status: "fulfilled", value: { largest: 3 } });
  assert.equal(late.status, "rejected");
});
