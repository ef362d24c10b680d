// A step in words: what it does to all its maps, what it is called, and why its output has this size.

import { axisNames } from "../net.js";
import { count, plural, shapeText, volume } from "../numbers.js";

const times = (/** @type {number[]} */ sizes) => sizes.join("×");

/** Return words in a row: "a, b and c". @param {(string | number)[]} words */
const listed = (words) => [words.slice(0, -1).join(", "), ...words.slice(-1)].filter((word) => word !== "").join(" and ");

/** Return what each axis has, or once what all have. @param {WindowRow[]} windows @param {(axis: WindowRow) => number | string} of */
function each(windows, of) {
  const all = windows.map(of);
  return new Set(all).size > 1 ? listed(all) : all[0];
}

/** Return the arithmetic of one axis's size, "" where the size was asked for. @param {WindowRow} axis */
export function arithmetic({ size, stride, dilation, before, after, transposed, inputs, outputs, adaptive }) {
  const border = before + after, extent = dilation * (size - 1) + 1, spread = dilation > 1 ? `${dilation} × ${size - 1} + 1` : size;
  if (transposed) return `(${inputs} − 1) × ${stride} + ${spread}${border ? ` ${border > 0 ? "−" : "+"} ${Math.abs(border)}` : ""}`;
  if (adaptive || Math.floor((inputs + border - extent) / stride) + 1 !== outputs) return "";
  return `⌊(${inputs}${border ? ` + ${border}` : ""} − ${dilation > 1 ? `(${spread})` : spread}) / ${stride}⌋ + 1`;
}

/** Return a line for every axis why its output has its size; one for all where they agree. @param {WindowRow[]} windows @param {string} [family] */
export function whySize(windows, family) {
  const lines = windows.map((axis, i) => {
    const { size, inputs, outputs, adaptive } = axis, sum = family === "resample" ? `${outputs / inputs} × ${inputs}` : arithmetic(axis);
    const how = adaptive ? `, as asked for: each reads ${outputs === 1 ? `all ${inputs}` : `up to ${size} of ${inputs}`}` : "";
    return [`${sum && !adaptive ? `${sum} = ` : ""}${outputs}`, ` ${axisNames(windows.length)[i]}${outputs === 1 ? "" : "s"}`, how];
  });
  const bare = new Set(lines.map(([made, , how]) => made + how));
  return lines.map((line) => line.join("")).slice(bare.size > 1 ? 0 : -1);
}

/** Return a step's kind with its arguments: "Conv2d 3×3, padding 1, 2 groups". @param {StepRow} step @param {Net} net */
export function described({ type, op, windows, family, groups, weight }, net) {
  const name = type || op, [one] = windows;
  if (family === "linear" && weight !== null) return `${name} ${net.value(weight).shape.toReversed().map(count).join(" → ")}`;
  if (!one) return name;
  if (one.adaptive || family === "resample") return `${name} to ${times(windows.map((w) => w.outputs))}`;
  const unless = (/** @type {number} */ usual, /** @type {string} */ what, /** @type {(w: WindowRow) => number | string} */ of) => (windows.some((w) => of(w) !== usual) ? `, ${what} ${each(windows, of)}` : "");
  return `${name} ${times(windows.map((w) => w.size))}${unless(1, "stride", (w) => w.stride)}${unless(0, one.transposed ? "cut off" : "padding", (w) => (w.before === w.after ? w.before : `${w.before} + ${w.after}`))}${
    unless(1, "dilation", (w) => w.dilation)}${groups > 1 ? `, ${groups} groups` : ""}`;
}

/** Return the value that a value hands on, past views of the same numbers. @param {Net} net @param {number} id @returns {number} */
export function origin(net, id) {
  const step = net.maker(id);
  return step?.plumbing && step.x.length === 1 && volume(net.value(step.x[0]).shape) === volume(net.value(id).shape) ? origin(net, step.x[0]) : id;
}

/** Return what a value is: "48 maps of 4×4", "10 numbers". @param {Net} net @param {number} id */
function made(net, id) {
  const { shape } = net.value(id), { length: rank } = shape, place = shape.slice(rank - net.spatial(id)), numbers = plural(shape.at(-1) ?? 1, "number");
  if (!rank) return "one number";
  if (rank < 3) return rank === 2 && shape[0] > 1 ? `${times(shape)} numbers` : numbers;
  return `${plural(shape[rank - place.length - 1] ?? 1, "map")} of ${place.length > 1 ? times(place) : numbers}`;
}

/** Return one or two sentences about what a step does to all its maps. @param {Net} net @param {number} id the value that it made @param {string} hint */
export function sentence(net, id, hint) {
  const step = net.maker(id), { kind, shape } = net.value(id), out = made(net, id);
  if (!step) {
    const what = kind === "parameter" ? (net.told.random ? "drawn at random" : "learned") : kind === "input" ? "given to the network" : "given";
    return `${net.isPicture(id) ? "The picture" : net.title(id)}: ${kind === "parameter" && shape.length > 2 ? `${plural(shape[0], "kernel")} of ${times(shape.slice(1))}` : out}, ${what}.`;
  }
  const { windows, family, x, op, type, weight } = step, [one] = windows, from = x.map((each) => origin(net, each)), said = from.map((each) => net.said(each));
  if ((family === "conv" || family === "transposed") && weight !== null && from.length) return sliding(net, step, weight, from, out) + hint;
  const whole = windows.every((w) => w.outputs === 1 && (one.adaptive || w.size >= w.inputs));
  const area = whole ? "every whole map" : one.adaptive ? "every part" : `every ${times(windows.map((w) => w.size))} window`;
  const names = said.length > 4 ? `${said.length} values` : listed(said);
  return {
    max_pool: `The largest number of ${area} of ${names} is kept: ${out}.`,
    avg_pool: `The mean of ${area} of ${names}: ${out}.`,
    linear: `Each of the ${net.category(id, 0) === null ? out : out.replace("number", "score")} is the sum of all ${plural(net.values.get(x[0])?.shape.at(-1) ?? 1, "number")} of ${said[0]}, each times a weight of its own${step.bias === null ? "" : ", plus a bias"}.`,
    softmax: `The scores of ${names} become shares that add up to 1: ${out}.`,
    pointwise: /relu$/i.test(op) && !/leaky|p_?relu|celu/i.test(op) ? `Negative numbers of ${names} become 0, the others stay: ${out}.` : `${type || op} of each number of ${names} by itself: ${out}.`,
    add: `The numbers at the same place of ${names} are ${/sub/.test(op) ? "subtracted" : "added"}: ${out}.`,
    multiply: `The numbers at the same place of ${names} are ${/div/.test(op) ? "divided" : "multiplied"}: ${out}.`,
    concat: `${names}, one after another: ${out}.`,
    norm: `The numbers of ${names} are shifted and scaled to a common spread: ${out}.`,
    resample: `The maps of ${names} in another size: ${out}.`,
    move: `The numbers of ${names}, moved and not changed: ${out}.`,
    select: `Some numbers of ${names}, chosen by \`${op}\`: ${out}.`,
    reduce: `\`${op}\` over numbers of ${names}: ${out}.`,
  }[family] ?? `\`${op}\` makes ${shapeText(shape)} from ${names || "nothing"}.`;
}

/** Return what kernels do to all maps. @param {Net} net @param {StepRow} step @param {number} weight @param {number[]} from @param {string} out */
function sliding(net, { family, groups, windows }, weight, [from], out) {
  const [first, second, ...size] = net.value(weight).shape, transposed = family === "transposed", { shape } = net.value(from);
  const [kernels, depth] = transposed ? [second * groups, first / groups] : [first, second], maps = shape[shape.length - net.spatial(from) - 1] ?? 1;
  const kernel = `${plural(kernels, "kernel")} of ${depth > 1 ? `${depth}×` : ""}${times(size)}`;
  const all = shape.length < 3 ? `the ${plural(shape.at(-1) ?? 1, "number")} of ${net.said(from)}` : maps > 1 ? `the ${maps} maps of ${net.said(from)}` : net.said(from);
  const grouped = groups === 1 ? "" : depth === 1 ? ", each over a map of its own" : `, in ${groups} groups of maps`;
  if (transposed) return `Every number of ${all} is spread by ${kernel}${grouped}: ${out}.`;
  return `${kernel} slide${kernels === 1 ? "s" : ""} over ${all}${windows.some((w) => w.stride > 1) ? ` in jumps of ${each(windows, (w) => w.stride)}` : ""}${grouped}: ${out}.`;
}
