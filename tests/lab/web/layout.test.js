// The row of cards on small networks written by hand; whole recordings are laid out in `test_layout.py`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { path, plan } from "../../../src/convlens/lab/web/layout.js";

/** Steps from "op: inputs" in order, each making the value of its number; -1 is the input. @param {string[]} lines @param {[string, string, number, number, number][]} calls */
function network(lines, calls = []) {
  const steps = lines.map((line, index) => {
    const [op, x] = line.split(":");
    return { index, op, name: `${op}@${index}`, x: x.split(",").filter(Boolean).map(Number), outputs: [index], plumbing: op === "flatten" };
  });
  const values = new Map([[-1, { name: "x", kind: "input", step: -1, shape: [1, 3] }], ...steps.map(({ index, name }) =>
    /** @type {[number, { name: string, kind: string, step: number, shape: number[] }]} */ ([index, { name, kind: "computed", step: index, shape: [1, 8] }]))]);
  return { steps, values, calls: calls.map(([label, type, parent, first, last]) => ({ label, type, parent, first, last, outputs: [last - 1] })) };
}
/** @param {ReturnType<typeof plan>} laid */
const drawn = ({ cards }) => cards.map(({ label, rank, lane }) => `${label} ${rank},${lane}`).join(" ");

test("a skip is over the cards of its lane, a branch gets a lane, plumbing is on the link", () => {
  const laid = plan(network(["conv:-1", "relu:0", "conv:1", "pool:0", "add:2,3", "flatten:4", "linear:5", "add:6,1"]));
  assert.equal(drawn(laid), "x 0,0 conv@0 1,0 relu@1 2,0 conv@2 3,0 pool@3 2,1 add@4 4,0 linear@6 5,0 add@7 6,0");
  assert.deepEqual(laid.links.filter(({ skip }) => skip).map(({ from, to }) => [from, to]), [["1", "7"]]);
  assert.deepEqual(laid.links.find(({ to }) => to === "6"), { from: "4", to: "6", skip: false, through: [5] });
  assert.equal(laid.homes.get(5), "4");
  assert.deepEqual([laid.ranks, laid.lanes, laid.aside], [7, 2, 0]);
});

test("what comes from no input stands where it ran", () => {
  assert.equal(drawn(plan(network(["conv:-1", "relu:0", "arange:", "add:1,2"]))), "x 0,0 conv@0 1,0 relu@1 2,0 arange@2 2,1 add@3 3,0");
});

/** @type {[string, string, number, number, number][]} */
const BLOCKS = [["", "Net", -1, 0, 7], ["a", "Block", 0, 0, 2], ["b", "Block", 0, 2, 4], ["c", "Block", 0, 4, 6]];
const CHAIN = ["conv:-1", "relu:0", "conv:1", "relu:2", "conv:3", "relu:4", "linear:5"];

test("equal blocks are one card, which opens in place, and so does each block", () => {
  const net = network(CHAIN, BLOCKS);
  const shown = (/** @type {string[]} */ ...open) => plan(net, { open: new Set(open) }).cards.map(({ key, count }) => `${key} ${count}`);
  assert.deepEqual(shown(), ["input -1 1", "a×3 3", "6 1"]);
  assert.deepEqual(shown("a×3", "b"), ["input -1 1", "a 1", "2 1", "3 1", "c 1", "6 1"]);
  assert.deepEqual(plan(net).cards[1], { ...plan(net).cards[1], label: "a – c", title: "Block", value: 5, steps: [0, 6], folded: true, kind: "repeat" });
});

test("blocks that differ in an operation or in what they make are two cards", () => {
  const other = network(CHAIN.with(3, "tanh:2"), BLOCKS), wider = network(CHAIN, BLOCKS);
  wider.values.set(3, { name: "b", kind: "computed", step: 3, shape: [1, 9] });
  for (const net of [other, wider]) assert.deepEqual(plan(net, { most: 4 }).cards.map(({ key }) => key), ["input -1", "a", "b", "c", "6"]);
});

test("a long row without modules is in pieces, and 10,000 steps never give more than 150 cards", () => {
  const long = network(Array.from({ length: 10000 }, (_, i) => `relu:${i - 1}`));
  const laid = plan(long);
  assert.deepEqual([laid.cards.length, laid.cards[1].title, laid.cards[1].parts.length], [101, "100 steps", 10]);
  const keys = laid.cards.flatMap(({ key, parts }) => [key, ...parts.map((part) => part.key)]);
  const most = plan(long, { open: new Set(keys) });
  assert.ok(most.cards.length > 140 && most.cards.length <= 150);
  assert.equal(most.links.length, most.cards.length - 1);
});

test("a path keeps the cards of some values, closed up", () => {
  const whole = plan(network(["conv:-1", "relu:0", "conv:1", "pool:0", "pool:3", "add:2,4"]));
  const kept = path(whole, new Map([-1, 0, 3, 4, 5].map((id) => [id, null])));
  assert.equal(drawn(kept), "x 0,0 conv@0 1,0 pool@3 2,0 pool@4 3,0 add@5 4,0");
  assert.deepEqual([kept.aside, kept.ranks, kept.lanes, kept.links.length], [2, 5, 1, 4]);
});
