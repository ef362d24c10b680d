// The state and its text: what is written is read back, and what cannot be read is left out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { START, format, fresh, parse } from "../../../src/convlens/lab/web/state.js";

const STATES = [
  START,
  { ...START, at: "conv1" },
  { ...START, at: "layer1.0.conv#2", index: [0, 3, 5, 5], held: [0, 3, 5, 5] },
  { ...START, at: "a b&c=d;e!f%", index: [], held: [] },
  { ...START, at: "x", trail: [{ at: "y!z;", index: [0, 1] }, { at: "é", index: [] }] },
  { ...START, at: "x", index: [2, 1], first: 5, held: [2, 7], side: 0, zoom: -12, scale: "step" },
  { ...START, at: "x", detection: 0, station: 3, least: 0, tint: 100, scale: "network", zoom: 12 },
];

for (const state of STATES) {
  test(`read back: ${format(state)}`, () => assert.deepEqual(parse(format(state)), state));
}

test("defaults are not written", () => {
  assert.equal(format({ ...START, at: "conv1" }), "at=conv1");
  const opened = { ...START, at: "conv1", index: [3, 2], first: 3, held: [3, 2] };
  assert.equal(format(opened), "at=conv1&index=3,2");
});

test("a number opens the sheet that it lies on", () => {
  const { first, held } = parse("at=x&index=4,2,0");
  assert.deepEqual([first, held], [4, [4, 2, 0]]);
});

const STRANGE = ["", "#", "&&==", "x", "at=%E0%A4%A", "index=1,a", "trail=a!b;c", "zoom=1.5", "side=-1",
  "station=2", "scale=none", "detection=x&station=1", "first=", "held=1,,2", "index=9999999999"];

for (const text of STRANGE) {
  test(`as if not there: ${text}`, () => assert.deepEqual(parse(text), START));
}

test("what is too large is cut off", () => {
  const { zoom, least, tint } = parse("zoom=1000000000&least=999&tint=101");
  assert.deepEqual([zoom, least, tint], [12, 100, 100]);
});

test("another value keeps only what the reader set for the whole page", () => {
  const state = { ...STATES[6], trail: [{ at: "y", index: [0] }] };
  assert.deepEqual(fresh(state, "conv2"), { ...START, at: "conv2", scale: "network", least: 0, tint: 100 });
});
