// The integers of one axis of a window: which inputs an output reads, and which outputs read an input.

/** @typedef {Omit<import("../answers.js").WindowRow, "after">} Axis */

/** The axis with its ends swapped: a transposed window's outputs read what a window's inputs are read by. @param {Axis} axis @returns {Axis} */
const turned = (axis) => ({ ...axis, transposed: !axis.transposed, inputs: axis.outputs, outputs: axis.inputs });

/** First input of output `o`'s window, and the one after its last, as adaptive pooling shares them out. @param {Axis} axis @param {number} o */
const share = ({ inputs, outputs }, o, last = o) => [Math.floor((o * inputs) / outputs), Math.ceil(((last + 1) * inputs) / outputs)];

/** Where tap `k` of output `o` lies; null on the border and, of a transposed window, between inputs. @param {Axis} axis @param {number} o @param {number} k */
function place({ stride, dilation, before, transposed, inputs }, o, k) {
  const i = transposed ? (o + before - k * dilation) / stride : o * stride - before + k * dilation;
  return Number.isInteger(i) && i >= 0 && i < inputs ? i : null;
}

/**
 * Return what output `o` reads: position `k` of the kernel lies on input `i`, null on the border. A transposed window
 * has only the taps that land.
 * @param {Axis} axis @param {number} o @returns {{ k: number, i: number | null }[]}
 */
export function taps(axis, o) {
  const [first, end] = axis.adaptive ? share(axis, o) : [0, axis.size];
  const found = Array.from({ length: end - first }, (_, k) => ({ k, i: axis.adaptive ? first + k : place(axis, o, k) }));
  return axis.transposed ? found.filter(({ i }) => i !== null) : found;
}

/** Return the outputs that read input `i`, in order, each with the position of the kernel that lies on it. @param {Axis} axis @param {number} i */
export function readers(axis, i) {
  const back = turned(axis), /** @type {{ k: number, o: number }[]} */ found = [];
  if (axis.adaptive) for (let [o, end] = share(back, i); o < end; o++) found.push({ k: i - share(axis, o)[0], o });
  else for (const { k, i: o } of taps(back, i)) if (o !== null) found.push({ k, o });
  return found.sort((a, b) => a.o - b.o);
}

/** Return the output whose window lies most nearly around input `i`. @param {Axis} axis @param {number} i */
export function around(axis, i) {
  const { stride, before, inputs, outputs } = axis, middle = (extent(axis) - 1) / 2;
  if (axis.adaptive) return Math.floor(((i + 0.5) * outputs) / inputs);
  const o = axis.transposed ? i * stride - before + middle : (i + before - middle) / stride;
  return Math.max(0, Math.min(outputs - 1, Math.round(o)));
}

/** Return how many places a window spans from its first tap to its last (adaptive: the longest). @param {Axis} axis */
export function extent(axis) {
  if (!axis.adaptive) return axis.dilation * (axis.size - 1) + 1;
  return Math.max(...Array.from({ length: axis.outputs }, (_, o) => taps(axis, o).length));
}

/**
 * Return the least [low, high) that holds all inputs of the outputs [from, to); null where they read none.
 * @param {Axis} axis @param {number} from @param {number} to @returns {[number, number] | null}
 */
export function span(axis, from, to) {
  if (axis.adaptive) return /** @type {[number, number]} */ (share(axis, from, to - 1));
  const { size, stride, before, transposed } = axis, wide = extent(axis) - 1;
  let low = Infinity, high = -Infinity;
  // The first place that a window could reach rises with the output, and so does the last: few are looked at.
  for (let o = from; o < to && (transposed ? (o + before - wide) / stride : o * stride - before) < low; o++)
    for (let k = 0; k < size; k++) low = Math.min(low, place(axis, o, k) ?? low);
  for (let o = to - 1; o >= from && (transposed ? (o + before) / stride : o * stride - before + wide) > high; o--)
    for (let k = 0; k < size; k++) high = Math.max(high, place(axis, o, k) ?? high);
  return high < 0 ? null : [low, high + 1];
}

/** Return the least [low, high) that holds all outputs that read one of the inputs [from, to); null where none does. @param {Axis} axis @param {number} from @param {number} to */
export const spread = (axis, from, to) => span(turned(axis), from, to);
