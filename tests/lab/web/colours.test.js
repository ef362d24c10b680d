// Colours: zero in the middle, signs on their sides, ink that is legible.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOT_FINITE, colour, css, ink, isDark, place, table } from "../../../src/convlens/lab/web/colours.js";

/** @type {("signed" | "picture")[]} */
const FAMILIES = ["signed", "picture"];

/** Relative luminance of WCAG 2. @param {number[]} rgb */
function luminance(rgb) {
  const [r, g, b] = rgb.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test("a table runs from its first colour over the middle to its last", () => {
  const colours = table("signed", false);
  assert.equal(colours.length, 3 * 511);
  assert.deepEqual([...colours.slice(0, 3)], [0x7f, 0x3b, 0x08]);
  assert.deepEqual([...colours.slice(3 * 255, 3 * 256)], [0xf7, 0xf7, 0xf5]);
  assert.deepEqual([...colours.slice(-3)], [0x05, 0x30, 0x61]);
  assert.equal(table("signed", false), colours);
  assert.notEqual(table("signed", true), colours);
});

test("a number has its place by its share of the span", () => {
  assert.deepEqual([-2, -1, 0, 0.5, 1, 9].map((x) => place(x, 1)), [0, 0, 255, 383, 510, 510]);
  assert.deepEqual([place(5, 0), place(-5, NaN)], [255, 255]);
});

test("positive numbers are blue and negative ones orange, on light and dark pages", () => {
  for (const dark of [false, true]) {
    for (const x of [0.3, 0.6, 0.9]) {
      const [red, , blue] = colour(x, 1, "signed", dark);
      assert.ok(blue > red);
      const [more, , less] = colour(-x, 1, "signed", dark);
      assert.ok(more > less);
    }
  }
});

test("what is not finite has a colour that no number has", () => {
  for (const x of [NaN, Infinity, -Infinity]) assert.deepEqual(colour(x, 1, "signed", false), NOT_FINITE);
  for (const family of FAMILIES) {
    for (const dark of [false, true]) {
      const colours = table(family, dark);
      for (let i = 0; i < colours.length; i += 3) {
        const far = NOT_FINITE.reduce((sum, part, c) => sum + Math.abs(part - colours[i + c]), 0);
        assert.ok(far > 60, `${family} ${i}`);
      }
    }
  }
});

test("ink can be read on every colour", () => {
  for (const family of FAMILIES) {
    for (const dark of [false, true]) {
      for (let x = -1; x <= 1; x += 0.01) {
        const ground = colour(x, 1, family, dark);
        const pair = [luminance(ground), ink(ground) === "#fff" ? 1 : 0].sort((a, b) => b - a);
        assert.ok((pair[0] + 0.05) / (pair[1] + 0.05) >= 4.5, `${family} ${dark} ${x}`);
      }
    }
  }
  assert.equal(css([1, 2, 3]), "rgb(1,2,3)");
});

test("without a screen the page is light", () => assert.equal(isDark(), false));
