// An answer and its arrays in one buffer, as the lab's `envelope.py` packs them.

/** @typedef {{ answer: any, buffers: [string, keyof typeof ARRAYS, number][], odd: [string, string][] }} Head */

const ARRAYS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };
const ALIGNMENT = 8;

/**
 * Return the answer in an envelope, its arrays and its numbers that are not finite in their places.
 * @param {ArrayBuffer} buffer
 * @returns {unknown}
 */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  /** @type {Head} */
  const { answer, buffers, odd } = JSON.parse(text);
  let at = 4 + length;
  for (const [name, type, count] of buffers) {
    const array = new ARRAYS[type](buffer, at, count);
    put(answer, name, array);
    at += Math.ceil(array.byteLength / ALIGNMENT) * ALIGNMENT;
  }
  for (const [name, number] of odd) put(answer, name, Number(number));
  return answer;
}

/** Put a part where its name leads: `sheet.codes`. @param {any} answer @param {string} name @param {unknown} part */
function put(answer, name, part) {
  const path = name.split(".");
  const last = path.splice(-1)[0];
  path.reduce((inside, step) => inside[step], answer)[last] = part;
}
