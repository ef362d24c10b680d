// Numbers and indices as text: short for reading, full for checking.

const FLOAT32 = new Set(["float32", "float16", "bfloat16"]);

/**
 * Return the shortest text that reads back as exactly this number of this dtype.
 * @param {number} x
 * @param {string} [dtype]
 */
export function full(x, dtype = "float64") {
  if (!FLOAT32.has(dtype) || !Number.isFinite(x)) return String(x);
  for (let digits = 1; digits < 10; digits++) {
    const text = x.toPrecision(digits);
    if (Math.fround(Number(text)) === x) return String(Number(text));
  }
  return String(x);
}

/**
 * Write four significant digits and a real minus sign; what is not finite in words.
 * @param {number} x
 */
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
  const size = Math.abs(x);
  const sign = x < 0 ? "−" : "";
  if (size >= 9999.5) return minus(x.toExponential(0).replace("+", ""));
  if (size >= 99.5) return sign + size.toFixed(0);
  if (Number.isInteger(size)) return sign + size;
  if (size >= 9.995) return sign + size.toFixed(1);
  if (size >= 0.9995) return sign + size.toFixed(2);
  if (size < 0.0005) return `${sign}~0`;
  return sign + size.toFixed(size < 0.005 ? 3 : 2).replace(/^0/, "");
}

/** Write a number with its sign, to stand in a sum. @param {number} x */
export function signed(x) {
  return x < 0 ? short(x) : `+${short(x)}`;
}

/** Write a share of 1. @param {number} x */
export function percent(x) {
  return `${(100 * x).toFixed(1)} %`;
}

/** Write positions from first to before last: "5–7". @param {number} first @param {number} last */
export function span(first, last) {
  return last - first <= 1 ? String(first) : `${first}–${last - 1}`;
}

/** Write a count and its noun. @param {number} n @param {string} noun */
export function plural(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/**
 * Return how to write the numbers of a list so that they line up: with enough decimals for four
 * digits of the largest.
 * @param {number} span the largest size among them
 * @returns {(x: number) => string}
 */
export function aligned(span) {
  if (!(span > 0) || span >= 1e5 || span < 1e-3) return short;
  const decimals = Math.max(0, 3 - Math.floor(Math.log10(span)));
  return (x) => (Number.isFinite(x) ? minus(x.toFixed(decimals)) : short(x));
}

/**
 * Return how to write the cells of a grid: with as many decimals each, and with a common power of
 * ten when the largest is very small or large.
 * @param {number} span the largest size among them
 * @returns {{ power: number, text: (x: number) => string }}
 */
export function cells(span) {
  const power = span > 0 && (span < 0.0095 || span >= 1e4) ? Math.floor(Math.log10(span)) : 0;
  const scale = 10 ** power;
  const size = span / scale;
  const decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || !(size > 0) ? 2 : 3;
  return {
    power,
    text: (x) => {
      if (!Number.isFinite(x) || x === 0) return short(x);
      if (power === 0 && Number.isInteger(x) && span < 1000) return minus(String(x));
      return minus((x / scale).toFixed(decimals).replace(/^(-?)0\./, "$1."));
    },
  };
}

/** Write a power of ten for a caption. @param {number} power */
export function powerText(power) {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const text = String(Math.abs(power)).replace(/\d/g, (d) => digits[Number(d)]);
  return power === 0 ? "" : `× 10${power < 0 ? "⁻" : ""}${text}`;
}

/** Write two digits, for bounds and differences. @param {number} x */
export function rough(x) {
  return x === 0 ? "0" : minus(x.toExponential(1).replace("+", ""));
}

/** Write a count with spaces between thousands. @param {number} n */
export function count(n) {
  return n.toLocaleString("en").replaceAll(",", " ");
}

/** @param {string} text */
function minus(text) {
  return text.replaceAll("-", "−");
}

/**
 * Write a shape without its sample axis when that is 1.
 * @param {number[]} shape
 */
export function shapeText(shape) {
  if (shape.length === 0) return "number";
  const seen = shape.length > 1 && shape[0] === 1 ? shape.slice(1) : shape;
  return seen.join("×");
}

/** @param {number[]} index */
export function indexText(index) {
  return `[${index.join(", ")}]`;
}

/**
 * Return the index of a flat position.
 * @param {number} position
 * @param {number[]} shape
 */
export function unravel(position, shape) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = position % shape[axis];
    position = Math.floor(position / shape[axis]);
  }
  return index;
}

/**
 * Return the flat position of an index.
 * @param {number[]} index
 * @param {number[]} shape
 */
export function ravel(index, shape) {
  return index.reduce((at, i, axis) => at * shape[axis] + i, 0);
}

/** Whether two indices are one. @param {number[] | null} a @param {number[] | null} b */
export const same = (a, b) => a !== null && b !== null && a.length === b.length && a.every((v, i) => v === b[i]);
