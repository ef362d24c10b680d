// An answer and its arrays in one buffer, as the lab's `envelope.py` packs them.

const ARRAYS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };
const ALIGNMENT = 8;

/** Return the answer in an envelope, its arrays and its numbers that are not finite in their places. @param {ArrayBuffer} buffer */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  /** @type {{ answer: any, buffers: [string, keyof typeof ARRAYS, number][], odd: [string, string][] }} */
  const { answer, buffers, odd } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const put = (/** @type {string} */ name, /** @type {unknown} */ part) => { // where its name leads: `sheet.codes`
    const path = name.split("."), last = path.splice(-1)[0];
    path.reduce((inside, step) => inside[step], answer)[last] = part;
  };
  let at = 4 + length;
  for (const [name, type, count] of buffers) {
    const array = new ARRAYS[type](buffer, at, count);
    put(name, array);
    at += Math.ceil(array.byteLength / ALIGNMENT) * ALIGNMENT;
  }
  for (const [name, number] of odd) put(name, Number(number));
  return answer;
}
