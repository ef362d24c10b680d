// The envelope: a buffer laid out by hand is read as the answer that it holds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { unpack } from "../../../src/convlens/lab/web/envelope.js";

/** @param {object} head @param {Uint8Array[]} parts @returns {ArrayBuffer} */
function enveloped(head, parts = []) {
  let text = JSON.stringify(head);
  while ((4 + new TextEncoder().encode(text).length) % 8) text += " ";
  const bytes = new TextEncoder().encode(text);
  const size = Uint8Array.from([bytes.length & 255, bytes.length >> 8, 0, 0]);
  const padded = parts.flatMap((part) => [part, new Uint8Array((8 - (part.length % 8)) % 8)]);
  return Uint8Array.from([size, bytes, ...padded].flatMap((part) => [...part])).buffer;
}

test("arrays of every type stand in their places", () => {
  const answer = { text: "é", sheet: { codes: null, exact: null }, low: null };
  const buffers = [["sheet.codes", "uint8", 3], ["low", "float32", 1], ["sheet.exact", "float64", 2]];
  const parts = [
    Uint8Array.of(7, 0, 255),
    Uint8Array.of(0, 0, 0xc0, 0x3f), // 1.5
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0), // 1, -2
  ];
  assert.deepEqual(unpack(enveloped({ answer, buffers, odd: [] }, parts)), {
    text: "é",
    sheet: { codes: Uint8Array.of(7, 0, 255), exact: Float64Array.of(1, -2) },
    low: Float32Array.of(1.5),
  });
});

test("numbers that JSON cannot hold are numbers again, text of the same letters stays text", () => {
  const answer = { recorded: null, name: "NaN", groups: [{ value: [1, null, null] }] };
  const odd = [["recorded", "NaN"], ["groups.0.value.1", "Infinity"], ["groups.0.value.2", "-Infinity"]];
  assert.deepEqual(unpack(enveloped({ answer, buffers: [], odd })), {
    recorded: NaN, name: "NaN", groups: [{ value: [1, Infinity, -Infinity] }],
  });
});

test("an empty array is an array", () => {
  const head = { answer: { codes: null }, buffers: [["codes", "uint8", 0]], odd: [] };
  assert.deepEqual(unpack(enveloped(head)), { codes: new Uint8Array() });
});
