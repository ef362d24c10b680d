// Masks and segments as transparent colours, painted once and then only copied to the picture.

/**
 * @typedef {[number, number, number]} Colour
 * @typedef {{ canvas: HTMLCanvasElement, x: number, y: number }} Tint painted pixels and their corner in the picture
 */

const FILL = 105; // of 255: the picture is still seen through it
const FAINT = 0.16; // of a class that is not pointed at, beside one that is

/** Return whether a position is lit, as a function of the position. @param {import("./answers.js").Lit} lit @returns {(at: number[]) => boolean} */
export function reader(lit) {
  const sizes = lit.box.map(([low, high]) => high - low);
  return (at) => {
    let flat = 0;
    for (let axis = 0; axis < at.length; axis++) {
      const [low, high] = lit.box[axis];
      if (at[axis] < low || at[axis] >= high) return false;
      flat = flat * sizes[axis] + at[axis] - low;
    }
    return Boolean(lit.bits[flat >> 3] & (128 >> (flat & 7)));
  };
}

/** Paint the pixels of one detection, with an outline. @param {import("./answers.js").Lit} mask @param {Colour} colour @returns {Tint | null} */
export function maskTint(mask, colour) {
  const [[top, bottom], [left, right]] = mask.box;
  const [width, height] = [right - left, bottom - top];
  if (!width || !height) return null;
  const is = reader(mask);
  return { x: left, y: top, canvas: painted(width, height, (data) => {
    for (let y = top, i = 0; y < bottom; y++) {
      for (let x = left; x < right; x++, i += 4) {
        if (!is([y, x])) continue;
        const inner = is([y - 1, x]) && is([y + 1, x]) && is([y, x - 1]) && is([y, x + 1]);
        data.set([...colour, inner ? FILL : 255], i);
      }
    }
  }) };
}

/**
 * Paint every class in its colour and the background in none.
 * @param {Uint8Array} codes the class of each pixel
 * @param {number[]} size rows and columns
 * @param {import("./answers.js").SegmentClass[]} classes
 * @param {number | null} only a class to be seen above all others
 * @returns {Tint}
 */
export function segmentsTint(codes, [rows, columns], classes, only) {
  const colours = new Uint32Array(256);
  for (const { label, colour: [r, g, b], background } of classes) {
    const shown = only === null ? !background : label === only;
    const alpha = shown ? 255 : only !== null && !background ? 255 * FAINT : 0;
    colours[label] = ((Math.round(alpha) << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  return { x: 0, y: 0, canvas: painted(columns, rows, (data) => {
    const pixels = new Uint32Array(data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = colours[codes[i]];
  }) };
}

/** @param {number} width @param {number} height @param {(data: Uint8ClampedArray) => void} paint */
function painted(width, height, paint) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  paint(image.data);
  context.putImageData(image, 0, 0);
  return canvas;
}
