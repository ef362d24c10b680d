// Which boxes stand on the picture, and which of them is walked back.

import assert from "node:assert/strict";
import test from "node:test";

import { listed } from "../../../src/convlens/lab/web/listing.js";

/** @param {number[]} found @param {number[]} low */
function detections(found, low, least = 0.05) {
  const row = (/** @type {number} */ score, /** @type {number} */ number) => ({ number, score });
  return /** @type {any} */ ({ best: found.map(row), candidates: low.map((score, k) => row(score, found.length + k)), count: found.length, least });
}

/** @param {any} given @param {number} least @param {number | null} [found] */
function numbers(given, least, found = null) {
  const { boxes, low, walked, from } = listed(given, { least, found });
  return [boxes.map((each) => each.number), low.map((each) => each.number), walked?.number ?? null, from];
}

test("the slider hides what scored less, and the best is walked", () => {
  assert.deepEqual(numbers(detections([0.9, 0.6, 0.3], [0.04]), 50), [[0, 1], [], 0, 50]);
  assert.deepEqual(numbers(detections([0.9, 0.6, 0.3], [0.04]), 95), [[], [], null, 95]);
});

test("all that the network reports is shown where nothing is sure and the reader set nothing", () => {
  assert.deepEqual(numbers(detections([0.3, 0.1], [0.04]), 50), [[0, 1], [], 0, 5]);
});

test("below the network's own score the candidates come in", () => {
  assert.deepEqual(numbers(detections([0.9], [0.04, 0.01]), 2), [[0], [1], 0, 2]);
  assert.deepEqual(numbers(detections([0.9], [0.04, 0.01]), 5), [[0], [], 0, 5]);
});

test("where nothing was found the candidates stand there, and the slider at the network's score", () => {
  assert.deepEqual(numbers(detections([], [0.04, 0.01]), 50), [[], [0, 1], 0, 5]);
  assert.deepEqual(numbers(detections([], []), 50), [[], [], null, 5]);
});

test("a box that is walked is always shown", () => {
  assert.deepEqual(numbers(detections([0.9, 0.3], [0.04]), 50, 1), [[0, 1], [], 1, 50]);
  assert.deepEqual(numbers(detections([0.9, 0.3], [0.04]), 50, 2), [[0], [2], 2, 50]);
  assert.deepEqual(numbers(detections([0.9], [0.04]), 50, 7), [[0], [], 0, 50]);
});
