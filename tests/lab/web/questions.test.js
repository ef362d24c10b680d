// The questions' memory: a sheet or a number that the page has is not asked for again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Questions } from "../../../src/convlens/lab/web/questions.js";
import { Refusal } from "../../../src/convlens/lab/web/asking.js";

const VALUE = { id: 7, name: "conv", kind: "computed", shape: [1, 2, 3, 3], dtype: "float32" };

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

const sheet = (/** @type {any} */ { value, first = 0 }) =>
  ({ value, first, rows: 1, columns: 1, exact: null });
const number = (/** @type {any} */ q) =>
  ({ explanation: null, refusal: "", region: null, sheet: q.sheet === undefined ? null : sheet({ value: q.value, first: q.sheet }) });

test("a number brings the sheet that the page lacks, and then no more", async () => {
  const { questions, asked } = host(number);
  await questions.number(VALUE, [0, 0, 1, 1], 0, true);
  assert.equal(asked[0].sheet, 0);
  assert.ok(questions.held(VALUE, 0));
  await questions.sheet(VALUE, 0);
  await questions.number(VALUE, [0, 0, 1, 2], 0, true);
  assert.deepEqual(asked.map((q) => [q.ask, q.sheet]), [["number", 0], ["number", undefined]]);
});

test("the last number is kept, until another one or another recording", async () => {
  const { questions, asked } = host(number);
  for (let i = 0; i < 3; i++) await questions.number(VALUE, [0, 0, 1, 1], 0, true);
  assert.equal(asked.length, 1);
  await questions.number(VALUE, [0, 0, 1, 1], 0, false);
  assert.equal(asked.length, 2);
  questions.about(2);
  await questions.number(VALUE, [0, 0, 1, 1], 0, false);
  assert.deepEqual(asked.map((q) => q.recording), [1, 1, 2]);
});

test("a refused number is asked for again", async () => {
  const { questions, asked } = host(() => ({ error: "recording 1 is gone", status: 409 }));
  for (let i = 0; i < 2; i++) {
    await assert.rejects(questions.number(VALUE, [0], 0, true), (error) => error instanceof Refusal && error.status === 409);
  }
  assert.equal(asked.length, 2);
});

test("an answer about a picture that has gone is not kept", async () => {
  const { questions, asked } = host(number);
  const late = questions.number(VALUE, [0], 0, true);
  questions.about(2);
  await late;
  assert.equal(questions.held(VALUE, 0), undefined);
  const sheets = host(sheet);
  const sent = sheets.questions.sheet(VALUE, 0);
  sheets.questions.about(2);
  await sent;
  assert.equal(sheets.questions.held(VALUE, 0), undefined);
  assert.equal(asked.length, 1);
});

test("twelve sheets are kept, those looked at last", async () => {
  const { questions, asked } = host(sheet);
  for (let first = 0; first < 13; first++) {
    await questions.sheet(VALUE, first);
    questions.held(VALUE, 0);
  }
  assert.ok(questions.held(VALUE, 0));
  assert.equal(questions.held(VALUE, 1), undefined);
  assert.equal(asked.length, 13);
});

test("numbers that a sheet brings are read from it, by map", async () => {
  const { questions, asked } = host(() => assert.fail("nothing is asked"));
  const exact = Float32Array.of(1, 2, 3, 4, 5, 6);
  const known = /** @type {any} */ ({ value: 7, first: 0, rows: 1, columns: 3, exact });
  assert.deepEqual(await questions.numbers(known, 1), Float32Array.of(4, 5, 6));
  assert.equal(asked.length, 0);
});

test("a walk is asked for once", async () => {
  const { questions, asked } = host(({ detection }) => ({ detection, stations: [] }));
  for (const detection of [3, 3, 4, 3]) assert.equal((await questions.walk(detection)).detection, detection);
  assert.deepEqual(asked.map((q) => q.detection), [3, 4]);
});
