// Numbers as text: the full text reads back as the number, the short one lies near it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { count, full, ravel, rough, shapeText, short, tight, unravel, volume } from "../../../src/convlens/lab/web/numbers.js";

/** Numbers of every size, the same ones in every run. */
function* sizes() {
  let seed = 1;
  for (let i = 0; i < 2000; i++) {
    seed = (seed * 48271) % 2147483647;
    yield (seed / 2147483647 - 0.5) * 10 ** ((i % 60) - 30);
  }
}

const plain = (/** @type {string} */ text) => Number(text.replaceAll("−", "-"));

test("the full text of a double reads back as that double", () => {
  for (const x of sizes()) assert.equal(Number(full(x)), x);
});

test("the full text of a float32 reads back as it, and no digit less would", () => {
  for (const x of sizes()) {
    const single = Math.fround(x);
    const text = full(single, "float32");
    assert.equal(Math.fround(Number(text)), single);
    const digits = Number(text).toExponential().split("e")[0].replace(/[-.]/g, "").length;
    if (digits > 1) assert.notEqual(Math.fround(Number(single.toPrecision(digits - 1))), single);
  }
  assert.equal(full(Math.fround(0.1), "float32"), "0.1");
  assert.equal(full(Math.fround(0.1), "float64"), "0.10000000149011612");
});

test("a short number keeps four digits of a usual size and three of any other", () => {
  for (const x of sizes()) assert.ok(Math.abs(plain(short(x)) - x) <= 0.005 * Math.abs(x), short(x));
  const texts = [0, 1, -3, 123456, 1.23456, -0.001, 0.00099, 1e6, 123456.7, -2.5e-9];
  assert.deepEqual(texts.map(short),
    ["0", "1", "−3", "123456", "1.235", "−0.001000", "9.90e-4".replace("-", "−"), "1.00e6", "1.23e5", "−2.50e−9"]);
});

test("what is not finite is written in words", () => {
  assert.deepEqual([NaN, Infinity, -Infinity].map(short), ["NaN", "∞", "−∞"]);
  assert.deepEqual([NaN, -Infinity].map((x) => full(x, "float32")), ["NaN", "-Infinity"]);
  assert.deepEqual([NaN, Infinity].map(tight), ["NaN", "∞"]);
});

test("a cell's number has at most five signs", () => {
  assert.deepEqual([0.813, -0.0042, 0.0004, 1.5, 12.34, -123.4, 20000].map(tight), [".81", "−.004", "~0", "1.50", "12.3", "−123", "2e4"]);
  for (const x of sizes()) assert.ok(tight(x).length <= 6, tight(x));
});

test("counts and shapes", () => {
  assert.equal(count(1234567), "1 234 567");
  assert.deepEqual([[], [5], [1, 3, 8], [2, 3]].map(shapeText), ["number", "5", "3×8", "2×3"]);
  assert.deepEqual([rough(0), rough(-1.26e-7)], ["0", "−1.3e−7"]);
});

test("a flat position is its index, and back", () => {
  const shape = [2, 3, 4];
  for (let at = 0; at < 24; at++) {
    const [a, b, c] = unravel(at, shape);
    assert.equal(at, 12 * a + 4 * b + c);
    assert.equal(ravel([a, b, c], shape), at);
  }
  assert.deepEqual(unravel(0, []), []);
  assert.deepEqual([volume(shape), volume([])], [24, 1]);
});
