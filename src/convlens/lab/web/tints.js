// Masks and segments as transparent colours, painted once and then only copied to the picture.

const FILL = 105; // of 255: the picture is still seen through it
const FAINT = 0.16; // of a class that is not pointed at, beside one that is

/** Paint pixels on a canvas. @param {number} columns @param {number} rows @param {(data: Uint8ClampedArray) => void} paint */
export function painted(columns, rows, paint) {
  const canvas = document.createElement("canvas"), image = new ImageData(columns, rows);
  [canvas.width, canvas.height] = [columns, rows];
  paint(image.data);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/** Paint the pixels of one detection, with an outline, and where they lie; null without pixels. @param {Lit} mask @param {number[]} colour */
export function maskTint({ box: [[top, bottom], [left, right]], bits }, colour) {
  const [width, height] = [right - left, bottom - top];
  const is = (/** @type {number} */ y, /** @type {number} */ x) => y >= 0 && y < height && x >= 0 && x < width && bits[(y * width + x) >> 3] & (128 >> ((y * width + x) & 7));
  return width && height ? { x: left, y: top, canvas: painted(width, height, (data) => {
    for (let i = 0; i < width * height; i++) {
      const [y, x] = [Math.floor(i / width), i % width];
      if (is(y, x)) data.set([...colour, is(y - 1, x) && is(y + 1, x) && is(y, x - 1) && is(y, x + 1) ? FILL : 255], 4 * i);
    }
  }) } : null;
}

/** Paint every pixel in the colour of its class, the background in none; `only`: a class to be seen above all others. @param {Uint8Array} codes @param {SegmentList} list @param {number | null} only */
export function segmentsTint(codes, { size: [rows, columns], classes }, only) {
  const colours = new Uint32Array(256);
  for (const { label, colour: [r, g, b], background } of classes) {
    const alpha = label === (only ?? label) && !(background && only === null) ? 255 : only !== null && !background ? 255 * FAINT : 0;
    colours[label] = (Math.round(alpha) << 24) | (b << 16) | (g << 8) | r;
  }
  return painted(columns, rows, (data) => new Uint32Array(data.buffer).set(Uint32Array.from(codes, (code) => colours[code])));
}
