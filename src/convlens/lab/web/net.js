// One recorded network: its values and steps, what reads what, and the names that people know them by.

import { ravel, shapeText, unravel, volume } from "./numbers.js";

const ORDERED = new Set("flatten view reshape squeeze unsqueeze dropout identity contiguous detach clone to".split(" ")); // numbers stay in order
const COLOURS = ["red", "green", "blue"];

export class Net {
  /** @type {Map<number, StepRow>} */ #makers = new Map();
  /** @type {Map<string, ValueRow>} */ #named;
  /** The first step that reads a value. @type {Map<number, StepRow>} */ #readers = new Map();

  /** @param {NetworkAnswer} told */
  constructor(told) {
    this.told = told;
    this.steps = told.steps;
    this.values = new Map(told.values.map((value) => [value.id, value]));
    this.#named = new Map(told.values.map((value) => [value.name, value]));
    for (const step of told.steps) {
      for (const id of step.outputs) this.#makers.set(id, step);
      for (const id of step.inputs) if (!this.#readers.has(id)) this.#readers.set(id, step);
    }
    // A module's path names what it returned, also where something inside it made that.
    for (const call of told.calls) {
      const value = this.values.get(call.outputs[0]);
      if (call.label && value && !this.#named.has(call.label)) this.#named.set(call.label, value);
    }
  }

  /** Return a value by its name, or by its step's number: "@3". @param {string} name */
  named(name) {
    const step = /^@\d+$/.test(name) ? this.steps[Number(name.slice(1))] : undefined;
    return this.#named.get(name) ?? (step && this.values.get(step.outputs[0]));
  }

  /** Return the step that made a value. @param {number} id */
  maker(id) {
    return this.#makers.get(id);
  }

  /** @param {number} id @returns {ValueRow} */
  value(id) {
    return /** @type {ValueRow} */ (this.values.get(id));
  }

  /** Whether a value is the picture that the network was given. @param {number} id */
  isPicture(id) {
    return id === this.told.picture_value;
  }

  /** Return the number that a number is a plain copy of, past plumbing that keeps the order. @param {number} id @param {number[]} index @returns {[number, number[]]} */
  through(id, index) {
    const step = this.maker(id), from = step?.plumbing && step.x.length === 1 && ORDERED.has(step.op) ? this.value(step.x[0]) : null;
    const { shape } = this.value(id);
    return from && volume(from.shape) === volume(shape) ? this.through(from.id, unravel(ravel(index, shape), from.shape)) : [id, index];
  }

  /** How many of a value's last axes are space. @param {number} id */
  spatial(id) {
    const { shape: { length: rank }, kind } = this.value(id);
    if (kind === "parameter" || kind === "buffer") return Math.max(0, Math.min(3, rank - 2));
    const windows = (this.maker(id) ?? this.#readers.get(id))?.windows.length;
    if (windows && (rank === windows + 2 || rank === windows + 1)) return windows;
    return Math.max(1, Math.min(3, rank - 2));
  }

  /** Return a value's name for people; two outputs of one module keep their numbers. @param {number} id */
  title(id) {
    if (this.isPicture(id)) return "picture";
    const { name } = this.value(id);
    const plain = name.replace(/@\d+$/, "");
    return this.#named.has(plain) && plain !== name ? name : plain;
  }

  /** Return a value in a sentence: "the picture", "conv1". @param {number} id */
  said(id) {
    return this.isPicture(id) ? "the picture" : this.title(id);
  }

  /** Return a shape without the sample's axis. @param {number} id */
  shape(id) {
    return shapeText(this.value(id).shape);
  }

  /** Return the name of one output, such as a class; null where it has none. @param {number} id @param {number} i */
  category(id, i) {
    const { categories, output, random } = this.told;
    if (!categories || output === null || this.value(id).shape.at(-1) !== categories.length) return null;
    const step = this.maker(output);
    if (id !== output && !(step?.family === "softmax" && step.x.includes(id))) return null;
    return random ? `class ${i}` : categories[i];
  }

  /** Return a map's name: "map 5", "red"; nothing where there is one. @param {number} id @param {number} channel */
  map(id, channel) {
    const maps = this.value(id).shape.at(-this.spatial(id) - 1) ?? 1;
    if (maps <= 1) return "";
    return this.isPicture(id) && maps === 3 ? COLOURS[channel] : `map ${channel}`;
  }

  /** Return where a number lies, in words. @param {number} id @param {number[]} index */
  spot(id, index) {
    const { shape, kind } = this.value(id), { length: rank } = shape, space = this.spatial(id), place = index.slice(rank - space);
    if (!rank) return "the number";
    if (kind === "parameter" || kind === "buffer") return `[${index.join(", ")}]`;
    const sample = rank - space > 1 && shape[0] > 1 ? `sample ${index[0]}` : "";
    const map = rank > space && rank > 2 ? this.map(id, index[rank - space - 1]) : "", named = this.category(id, index[rank - 1]);
    const where = space > 1 || rank > 2 ? axes(place) : named ? `“${named}”` : `number ${place[0]}`;
    return [sample, map, where].filter(Boolean).join(", ");
  }
}

/** The names of the axes of a place that has so many. @param {number} count */
export const axisNames = (count) => [["position"], ["row", "column"], ["frame", "row", "column"]][count - 1] ?? [];

/** Return a place in words: "row 6, column 4". @param {number[]} place */
export const axes = (place) => axisNames(place.length).map((name, axis) => `${name} ${place[axis]}`).join(", ");
