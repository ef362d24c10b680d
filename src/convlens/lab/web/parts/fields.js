// The field of one number: the box of every earlier value that it is made of, and of every later one that it reaches.
import { span, spread } from "./windows.js";

/**
 * @typedef {import("../answers.js").StepRow} StepRow
 * @typedef {[low: number, high: number][]} Box along each spatial axis, up to but without `high`
 * @typedef {{ box: Box, whole: boolean }} Field `whole`: the box is all of the plane
 * @typedef {{ steps: StepRow[], values: Map<number, import("../answers.js").ValueRow>, spatial: (id: number) => number }} Spaced
 */

/** The box along one axis in a value of another length: the same places, or all where one of them stands for many. @param {number} n @param {number} m @param {[number, number]} range @returns {[number, number]} */
const across = (n, m, range) => (n === m ? range : [0, m]);

export class Fields {
  /** Prepare the fields of a network; `of` then takes less than a frame. @param {Spaced} net */
  constructor(net) {
    this.steps = net.steps;
    /** Rows and columns of every value. @type {Map<number, number[]>} */
    this.planes = new Map([...net.values].map(([id, { shape }]) => [id, shape.slice(shape.length - net.spatial(id))]));
  }

  /**
   * Return the fields of one number by value, its own place among them. `way` "made" keeps to what it is made of, "feeds" to what
   * it reaches. Boxes hold every place that counts: an operation without windows takes the whole plane.
   * @param {number} id @param {number[]} index @param {"made" | "feeds" | ""} [way]
   */
  of(id, index, way = "") {
    const own = /** @type {Box} */ (index.slice(index.length - (this.planes.get(id) ?? []).length).map((i) => [i, i + 1]));
    const made = new Map([[id, own]]), reached = new Map([[id, own]]);
    if (way !== "feeds") for (let at = this.steps.length - 1; at >= 0; at--) {
      const step = this.steps[at];
      for (const out of step.outputs) if (made.has(out)) for (const x of step.x) this.carry(step, made, out, x, span);
    }
    if (way !== "made") for (const step of this.steps) for (const x of step.x)
      if (reached.has(x)) for (const out of step.outputs) this.carry(step, reached, x, out, spread);
    /** @type {Map<number, Field>} */
    const fields = new Map();
    for (const [value, box] of [...made, ...reached]) {
      const plane = this.planes.get(value) ?? [];
      fields.set(value, { box, whole: box.every(([low, high], d) => low === 0 && high === plane[d]) });
    }
    return fields;
  }

  /** Add the box that value `from` gives to value `to`. @private @param {StepRow} step @param {Map<number, Box>} boxes @param {number} from @param {number} to @param {typeof span} by */
  carry(step, boxes, from, to, by) {
    const box = /** @type {Box} */ (boxes.get(from)), here = this.planes.get(from) ?? [], there = this.planes.get(to) ?? [];
    /** @type {Box} */
    let given = there.map((n) => [0, n]);
    const x = by === span ? to : from, { windows } = step;
    if (step.reach === "window" && x === step.x[0] && [here, there].every((p) => p.length === windows.length)) {
      const found = windows.map((axis, d) => by(axis, box[d][0], box[d][1]));
      if (!found.every((range) => range !== null)) return;
      given = found;
    } else if (step.reach === "same" && here.length === there.length && here.every((n, d) => n === there[d] || n === 1 || there[d] === 1))
      given = box.map((range, d) => across(here[d], there[d], range));
    const had = boxes.get(to);
    boxes.set(to, had ? had.map(([low, high], d) => [Math.min(low, given[d][0]), Math.max(high, given[d][1])]) : given);
  }
}
