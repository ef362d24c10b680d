// A step in words: what it does to all its maps, what it is called, and why its output has this size.

import { count, plural, shapeText } from "../numbers.js";

/**
 * @typedef {import("../answers.js").StepRow} StepRow
 * @typedef {import("../answers.js").WindowRow} WindowRow
 * @typedef {import("../net.js").Net} Net
 */

const AXES = [["position"], ["row", "column"], ["frame", "row", "column"]];
const times = (/** @type {number[]} */ sizes) => sizes.join("×");

/** Return what each axis has, or once what all have. @param {WindowRow[]} windows @param {(axis: WindowRow) => number | string} of */
function each(windows, of) {
  const all = windows.map(of);
  return all.every((x) => x === all[0]) ? String(all[0]) : all.slice(0, -1).join(", ") + " and " + all.at(-1);
}

/** Return the arithmetic of one axis's size, "" where the size was asked for. @param {WindowRow} axis */
export function arithmetic({ size, stride, dilation, before, after, transposed, inputs, outputs, adaptive }) {
  if (adaptive) return "";
  const extent = dilation * (size - 1) + 1;
  const spread = dilation > 1 ? `${dilation} × ${size - 1} + 1` : String(size);
  if (!transposed) {
    const made = Math.floor((inputs + before + after - extent) / stride) + 1;
    return made === outputs ? `⌊(${inputs}${before + after ? ` + ${before + after}` : ""} − ${dilation > 1 ? `(${spread})` : spread}) / ${stride}⌋ + 1` : "";
  }
  const cut = before + after;
  return `(${inputs} − 1) × ${stride} + ${spread}${cut ? ` ${cut > 0 ? "−" : "+"} ${Math.abs(cut)}` : ""}`;
}

/** Return a line for every axis why its output has its size; one for all where they agree. @param {WindowRow[]} windows @param {string} [family] @returns {string[]} */
export function whySize(windows, family) {
  const names = AXES[windows.length - 1] ?? [];
  const lines = windows.map((axis, i) => {
    const sum = family === "resample" ? `${axis.outputs / axis.inputs} × ${axis.inputs}` : arithmetic(axis);
    const [name, found] = [`${names[i]}${axis.outputs === 1 ? "" : "s"}`, axis.outputs];
    if (axis.adaptive) return `${found} ${name}, as asked for: each reads ${axis.outputs === 1 ? `all ${axis.inputs}` : `up to ${axis.size} of ${axis.inputs}`}`;
    return sum ? `${sum} = ${found} ${name}` : `${found} ${name}`;
  });
  const bare = lines.map((line, i) => line.replace(new RegExp(`${names[i]}s?`), ""));
  return bare.every((line) => line === bare[0]) ? lines.slice(-1) : lines;
}

/** Return a step's kind with its arguments: "Conv2d 3×3, padding 1, 2 groups". @param {StepRow} step @param {Net} net */
export function described(step, net) {
  const name = step.type || step.op;
  const { windows, family, groups, weight } = step;
  if (family === "linear" && weight !== null) return `${name} ${[...net.value(weight).shape].reverse().map(count).join(" → ")}`;
  if (!windows.length || windows[0].adaptive || family === "resample") return windows.length ? `${name} to ${times(windows.map((w) => w.outputs))}` : name;
  const parts = [`${name} ${times(windows.map((w) => w.size))}`];
  const add = (/** @type {string} */ what, /** @type {(w: WindowRow) => number | string} */ of, /** @type {number} */ usual) => {
    if (windows.some((w) => of(w) !== usual)) parts.push(`${what} ${each(windows, of)}`);
  };
  add("stride", (w) => w.stride, 1);
  add(windows[0].transposed ? "cut off" : "padding", (w) => (w.before === w.after ? w.before : `${w.before} + ${w.after}`), 0);
  add("dilation", (w) => w.dilation, 1);
  if (groups > 1) parts.push(`${groups} groups`);
  return parts.join(", ");
}

/** Return the value that a value hands on, past views of the same numbers. @param {Net} net @param {number} id @returns {number} */
export function origin(net, id) {
  const step = net.maker(id);
  const size = (/** @type {number} */ value) => net.value(value).shape.reduce((a, b) => a * b, 1);
  return step?.plumbing && step.x.length === 1 && size(step.x[0]) === size(id) ? origin(net, step.x[0]) : id;
}

/** Return a value's maps in words: "the 24 maps of pool1", "the picture". @param {Net} net @param {number} id */
function mapsOf(net, id) {
  const { shape } = net.value(id);
  const maps = shape[shape.length - net.spatial(id) - 1] ?? 1;
  if (shape.length < 3) return `the ${plural(shape.at(-1) ?? 1, "number")} of ${net.said(id)}`;
  return maps > 1 ? `the ${maps} maps of ${net.said(id)}` : net.said(id);
}

/** Return what a value is: "48 maps of 4×4", "10 numbers". @param {Net} net @param {number} id */
function made(net, id) {
  const { shape } = net.value(id);
  const space = net.spatial(id);
  const place = shape.slice(shape.length - space);
  if (!shape.length) return "one number";
  if (shape.length < 3) return shape.length === 2 && shape[0] > 1 ? `${times(shape)} numbers` : plural(shape.at(-1) ?? 1, "number");
  return `${plural(shape[shape.length - space - 1] ?? 1, "map")} of ${place.length > 1 ? times(place) : plural(place[0], "number")}`;
}

/** Return one or two sentences about what a step does to all its maps. @param {Net} net @param {number} id the value that it made @param {string} hint */
export function sentence(net, id, hint) {
  const step = net.maker(id);
  const value = net.value(id);
  if (!step) {
    const what = value.kind === "parameter" ? (net.told.random ? "drawn at random" : "learned") : value.kind === "input" ? "given to the network" : "given";
    const own = value.kind === "parameter" && value.shape.length > 2 ? `${plural(value.shape[0], "kernel")} of ${times(value.shape.slice(1))}` : made(net, id);
    return `${net.isPicture(id) ? "The picture" : net.title(id)}: ${own}, ${what}.`;
  }
  const { windows, family, groups, weight, x } = step;
  const from = x.map((each) => origin(net, each));
  const out = made(net, id);
  const all = from.length ? mapsOf(net, from[0]) : "nothing";
  const window = windows[0]?.adaptive ? "" : times(windows.map((w) => w.size));
  const [one] = windows;
  const whole = one?.adaptive ? windows.every((w) => w.outputs === 1) : windows.every((w) => w.outputs === 1 && w.size >= w.inputs);
  const area = whole ? "every whole map" : one?.adaptive ? "every part" : `every ${window} window`;
  const jump = windows.some((w) => w.stride > 1) && one && !one.transposed ? ` in jumps of ${each(windows, (w) => w.stride)}` : "";
  const listed = from.map((each) => net.said(each));
  const names = listed.length > 4 ? `${listed.length} values` : listed.slice(0, -1).join(", ") + (listed.length > 1 ? " and " : "") + listed.at(-1);
  if ((family === "conv" || family === "transposed") && weight !== null) {
    const shape = net.value(weight).shape;
    const transposed = family === "transposed";
    const [kernels, depth] = transposed ? [shape[1] * groups, shape[0] / groups] : [shape[0], shape[1]];
    const kernel = `${plural(kernels, "kernel")} of ${depth > 1 ? `${depth}×` : ""}${times(shape.slice(2))}`;
    const grouped = groups === 1 ? "" : depth === 1 ? ", each over a map of its own" : `, in ${groups} groups of maps`;
    return transposed ? `Every number of ${all} is spread by ${kernel}${grouped}: ${out}.${hint}` : `${kernel} ${kernels === 1 ? "slides" : "slide"} over ${all}${jump}${grouped}: ${out}.${hint}`;
  }
  return `${{
    max_pool: `The largest number of ${area} of ${names} is kept: ${out}.`,
    avg_pool: `The mean of ${area} of ${names}: ${out}.`,
    linear: `Each of the ${net.category(id, 0) === null ? out : out.replace("number", "score")} is the sum of all ${plural(net.value(x[0]).shape.at(-1) ?? 1, "number")} of ${listed[0]}, each times a weight of its own${step.bias === null ? "" : ", plus a bias"}.`,
    softmax: `The scores of ${names} become shares that add up to 1: ${out}.`,
    pointwise: /relu$/i.test(step.op) && !/leaky|p_?relu|celu/i.test(step.op) ? `Negative numbers of ${names} become 0, the others stay: ${out}.` : `${step.type || step.op} of each number of ${names} by itself: ${out}.`,
    add: `The numbers at the same place of ${names} are ${/sub/.test(step.op) ? "subtracted" : "added"}: ${out}.`,
    multiply: `The numbers at the same place of ${names} are ${/div/.test(step.op) ? "divided" : "multiplied"}: ${out}.`,
    concat: `${names}, one after another: ${out}.`,
    norm: `The numbers of ${names} are shifted and scaled to a common spread: ${out}.`,
    resample: `The maps of ${names} in another size: ${out}.`,
    move: `The numbers of ${names}, moved and not changed: ${out}.`,
    select: `Some numbers of ${names}, chosen by \`${step.op}\`: ${out}.`,
    reduce: `\`${step.op}\` over numbers of ${names}: ${out}.`,
  }[family] ?? `\`${step.op}\` makes ${shapeText(value.shape)} from ${names || "nothing"}.`}`;
}
