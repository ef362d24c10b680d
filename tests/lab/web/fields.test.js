// Fields: intervals carried through the steps hold exactly the places that sets of places find.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Fields } from "../../../src/convlens/lab/web/parts/fields.js";
import { taps } from "../../../src/convlens/lab/web/parts/windows.js";

/** @typedef {import("../../../src/convlens/lab/web/parts/windows.js").Axis} Axis */
/** @typedef {{ index: number, x: number[], outputs: number[], windows: Axis[], reach: string }} Step */

let seed = 7;
const draw = (/** @type {number} */ n) => (seed = (seed * 48271) % 2147483647) % n;

/** A window on `inputs` places that leaves some. @param {number} inputs @param {boolean} gaps @returns {Axis} */
function drawn(inputs, gaps) {
  const size = 1 + draw(3), before = draw(size), stride = 1 + draw(gaps ? 4 : size), dilation = gaps ? 1 + draw(2) : 1;
  const axis = { size, stride, dilation, before, transposed: !draw(4), inputs, outputs: 0, adaptive: !draw(6) };
  if (axis.adaptive) return { ...axis, size: 0, transposed: false, outputs: 1 + draw(inputs) };
  const wide = dilation * (size - 1) + 1;
  const outputs = axis.transposed ? (inputs - 1) * stride + wide - 2 * before : Math.floor((inputs + 2 * before - wide) / stride) + 1;
  return outputs < 1 || outputs > 40 ? drawn(inputs, gaps) : { ...axis, outputs };
}

/** A network of two-dimensional maps in which steps read earlier values. @param {boolean} gaps */
function network(gaps) {
  const planes = [[9, 8]], /** @type {Step[]} */ steps = [];
  for (let index = 0; index < 10; index++) {
    const x = [draw(planes.length)], kind = draw(4), plane = planes[x[0]];
    let reach = "same", /** @type {Axis[]} */ windows = [], out = plane;
    if (kind < 2) [reach, windows] = ["window", plane.map((n) => drawn(n, gaps))];
    if (kind < 2) out = windows.map(({ outputs }) => outputs);
    if (kind === 2) x.push(...planes.flatMap((p, id) => (id !== x[0] && p.every((n, d) => n === plane[d]) ? [id] : [])));
    if (kind === 3 && !draw(2)) reach = "all";
    planes.push(out);
    steps.push({ index, x, outputs: [planes.length - 1], windows, reach });
  }
  return { steps, planes, values: new Map(planes.map((p, id) => [id, { shape: [1, 4, ...p] }])), spatial: () => 2 };
}

/** Whether output place `p` of a step reads place `q`. @param {Step} step @param {number[]} p @param {number[]} q */
const meets = (step, p, q) => step.reach === "all" || p.every((o, d) =>
  (step.reach === "same" ? o === q[d] : taps(step.windows[d], o).some(({ i }) => i === q[d])));
const places = (/** @type {number[]} */ [rows, columns]) =>
  Array.from({ length: rows * columns }, (_, i) => [Math.floor(i / columns), i % columns]);

/** The places that each value's numbers are read at or reach, as sets. @param {ReturnType<typeof network>} net @param {number} id @param {number[]} place */
function sets({ steps, planes }, id, place) {
  const made = new Map([[id, [place]]]), reached = new Map([[id, [place]]]);
  const add = (/** @type {typeof made} */ to, /** @type {number} */ key, /** @type {(q: number[]) => boolean} */ keep) => {
    const had = to.get(key) ?? [], more = places(planes[key]).filter((q) => keep(q) || had.some((h) => `${h}` === `${q}`));
    if (more.length) to.set(key, more);
  };
  for (const step of [...steps].reverse()) for (const x of step.x)
    if (made.has(step.outputs[0])) add(made, x, (q) => !!made.get(step.outputs[0])?.some((p) => meets(step, p, q)));
  for (const step of steps) for (const x of step.x)
    if (reached.has(x)) add(reached, step.outputs[0], (p) => !!reached.get(x)?.some((q) => meets(step, p, q)));
  return new Map([...made, ...reached]);
}

/** @param {number[][]} found */
const hull = (found) => [0, 1].map((d) => [Math.min(...found.map((p) => p[d])), Math.max(...found.map((p) => p[d])) + 1]);

for (const gaps of [false, true])
  test(`boxes ${gaps ? "hold" : "are"} what sets of places find, windows ${gaps ? "with" : "without"} gaps`, () => {
    let same = 0, all = 0;
    for (let round = 0; round < 60; round++) {
      const net = network(gaps), id = draw(net.planes.length), place = net.planes[id].map((n) => draw(n));
      const found = new Fields(net).of(id, [0, 1, ...place]), right = sets(net, id, place);
      if (!gaps) assert.deepEqual(new Set(found.keys()), new Set(right.keys()));
      for (const [value, set] of right) {
        const { box, whole } = found.get(value) ?? assert.fail(), least = hull(set);
        if (!gaps) assert.deepEqual(box, least);
        assert.ok(least.every(([low, high], d) => box[d][0] <= low && high <= box[d][1]));
        assert.equal(whole, box.every(([low, high], d) => !low && high === net.planes[value][d]));
        all += 1;
        same += Number(JSON.stringify(box) === JSON.stringify(least));
      }
    }
    assert.ok(all > 200 && same > 0.8 * all, `${same} of ${all}`);
  });

test("a direction leaves the other out, and values that do not match are taken whole", () => {
  const values = new Map([[0, { shape: [1, 3, 4, 4] }], [1, { shape: [1, 48] }], [2, { shape: [1, 3, 1, 4] }], [3, { shape: [] }]]);
  const steps = [[0, 1, "all"], [0, 2, "same"], [2, 3, "same"]].map(([x, out, reach], index) =>
    ({ index, x: [Number(x)], outputs: [Number(out)], windows: [], reach: String(reach) }));
  const fields = new Fields({ steps, values, spatial: (id) => [2, 1, 2, 0][id] });
  assert.deepEqual([...fields.of(0, [0, 2, 1, 3], "feeds")], [
    [0, { box: [[1, 2], [3, 4]], whole: false }], [1, { box: [[0, 48]], whole: true }],
    [2, { box: [[0, 1], [3, 4]], whole: false }], [3, { box: [], whole: true }]]);
  assert.deepEqual([...fields.of(1, [0, 5], "made").keys()], [1, 0]);
  assert.deepEqual(fields.of(2, [0, 0, 0, 2], "made").get(0)?.box, [[0, 4], [2, 3]]);
});
