// Numbers and indices as text: short for reading, full for checking.

const FLOAT32 = new Set(["float32", "float16", "bfloat16"]);

/** Return the shortest text that reads back as exactly this number of this dtype. @param {number} x @param {string} [dtype] */
export function full(x, dtype = "float64") {
  if (!FLOAT32.has(dtype) || !Number.isFinite(x)) return String(x);
  for (let digits = 1; digits < 10; digits++) {
    const text = x.toPrecision(digits);
    if (Math.fround(Number(text)) === x) return String(Number(text));
  }
  return String(x);
}

/** Write four significant digits and a real minus sign; what is not finite in words. @param {number} x */
export function short(x) {
  if (x === 0) return "0";
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  if (Number.isInteger(x) && size < 1e6) return minus(String(x));
  if (size >= 1e5 || size < 1e-3) {
    const [mantissa, exponent] = x.toExponential(2).split("e");
    return minus(`${mantissa}e${exponent.replace("+", "")}`);
  }
  return minus(x.toPrecision(4));
}

/** Write a number as small as a cell is: at most five signs, `.81`, `~0` below .0005. @param {number} x */
export function tight(x) {
  if (x === 0 || !Number.isFinite(x)) return short(x);
  const size = Math.abs(x), sign = x < 0 ? "−" : "";
  if (size >= 9999.5) return minus(x.toExponential(0).replace("+", ""));
  if (size >= 99.5) return sign + size.toFixed(0);
  if (Number.isInteger(size)) return sign + size;
  if (size >= 9.995) return sign + size.toFixed(1);
  if (size >= 0.9995) return sign + size.toFixed(2);
  if (size < 0.0005) return `${sign}~0`;
  return sign + size.toFixed(size < 0.005 ? 3 : 2).replace(/^0/, "");
}

/** Write a number with its sign, to stand in a sum. @param {number} x */
export const signed = (x) => x < 0 ? short(x) : `+${short(x)}`;

/** Write a share of 1. @param {number} x */
export const percent = (x) => `${(100 * x).toFixed(1)} %`;

/** Write positions from first to before last: "5–7". @param {number} first @param {number} last */
export const span = (first, last) => last - first <= 1 ? String(first) : `${first}–${last - 1}`;

/** Write a count and its noun. @param {number} n @param {string} noun */
export const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** Write two digits, for bounds and differences. @param {number} x */
export const rough = (x) => x === 0 ? "0" : minus(x.toExponential(1).replace("+", ""));

/** Write a count with spaces between thousands. @param {number} n */
export const count = (n) => n.toLocaleString("en").replaceAll(",", " ");

/** @param {string} text */
const minus = (text) => text.replaceAll("-", "−");

/** Write a shape without its sample axis when that is 1. @param {number[]} shape */
export const shapeText = (shape) => (shape.length > 1 && shape[0] === 1 ? shape.slice(1) : shape).join("×") || "number";

/** Return the index of a flat position. @param {number} position @param {number[]} shape */
export function unravel(position, shape) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = position % shape[axis];
    position = Math.floor(position / shape[axis]);
  }
  return index;
}

/** Return the flat position of an index. @param {number[]} index @param {number[]} shape */
export const ravel = (index, shape) => index.reduce((at, i, axis) => at * shape[axis] + i, 0);

/** Return how many numbers a shape holds. @param {number[]} shape */
export const volume = (shape) => shape.reduce((all, n) => all * n, 1);

/** Whether two indices are one. @param {number[] | null} a @param {number[] | null} b */
export const same = (a, b) => a !== null && b !== null && a.length === b.length && a.every((v, i) => v === b[i]);
