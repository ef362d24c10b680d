// Numbers to colours: one language for every signed number, orange below zero and blue above, and grey for pictures.

// Anchors from most negative to most positive; on a dark page zero recedes into the ground.
const SIGNED = {
  light: "7f3b08 b35806 e08214 fdb863 fee0b6 f7f7f5 d1e5f0 92c5de 4393c3 2166ac 053061",
  dark: "ffd9a3 f7a94b c9741a 8a4d12 50300f 202227 14334d 1d5480 2f7fb8 6bb3e6 c2e2fb",
};
const PICTURE = "000000 000000 000000 000000 000000 000000 333333 666666 999999 cccccc ffffff";
const STEPS = 255; // colours on each side of zero

/** @typedef {"signed" | "picture"} Family */

/** @type {Map<string, Uint8ClampedArray>} */
const tables = new Map();

/** Return 2 * 255 + 1 colours, red green blue, from -1 to 1. @param {Family} family @param {boolean} dark */
export function table(family, dark) {
  const named = family === "picture" ? PICTURE : SIGNED[dark ? "dark" : "light"], kept = tables.get(named);
  if (kept) return kept;
  const anchors = named.split(" ").map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16))), made = new Uint8ClampedArray((2 * STEPS + 1) * 3);
  for (let i = 0; i <= 2 * STEPS; i++) {
    const at = (i / (2 * STEPS)) * (anchors.length - 1), low = Math.min(Math.floor(at), anchors.length - 2);
    made.set(anchors[low].map((part, c) => part + (at - low) * (anchors[low + 1][c] - part)), 3 * i);
  }
  tables.set(named, made);
  return made;
}

/** Return where in a table a number lies; `span` is the number of the last colour. @param {number} x @param {number} span */
export function place(x, span) {
  if (!(span > 0)) return STEPS;
  return STEPS + Math.round(Math.max(-1, Math.min(1, x / span)) * STEPS);
}

/** The colour of what is not a finite number: a magenta that no scale contains. @type {[number, number, number]} */
export const NOT_FINITE = [213, 0, 142];

/** Return a number's colour as red, green, blue. @param {number} x @param {number} span @param {Family} [family] @param {boolean} [dark] @returns {[number, number, number]} */
export function colour(x, span, family = "signed", dark = isDark()) {
  if (!Number.isFinite(x)) return NOT_FINITE;
  const at = 3 * place(x, span);
  const colours = table(family, dark);
  return [colours[at], colours[at + 1], colours[at + 2]];
}

/** Return the largest finite size of a number. @param {ArrayLike<number>} numbers */
export function largest(numbers) {
  let most = 0;
  for (let i = 0; i < numbers.length; i++) {
    const size = Math.abs(numbers[i]);
    if (size > most && size < Infinity) most = size;
  }
  return most;
}

/** Return how a map is coloured: signed about zero, or as a picture, from its darkest to its lightest. @param {ArrayLike<number>} numbers @param {boolean} picture @param {number} [span] the strongest colour @returns {(x: number) => [number, number, number]} */
export function shades(numbers, picture, span = largest(numbers) || 1) {
  const dark = isDark();
  if (!picture) return (x) => colour(x, span, "signed", dark);
  let [low, high] = [0, -Infinity];
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i] < low) low = numbers[i];
    if (numbers[i] > high) high = numbers[i];
  }
  return (x) => colour((x - low) / (high - low || 1), 1, "picture", dark);
}

/** Return black or white, the one with more contrast on a colour; never below 4.5. @param {[number, number, number]} rgb */
export function ink(rgb) {
  const [r, g, b] = rgb.map((c) => (c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** @param {[number, number, number]} rgb */
export const css = (rgb) => `rgb(${rgb})`;

const system = globalThis.matchMedia?.("(prefers-color-scheme: dark)");
let dark = Boolean(system?.matches);
/** @type {HTMLElement | null} */ let themed = null;

/** Whether the page is dark now. */
export const isDark = () => dark;

/** Give a stage the theme of the system, or of the notebook that it stands in, from now on; return what ends it. @param {HTMLElement} el @param {() => void} changed */
export function onTheme(el, changed) {
  const read = () => {
    const before = el.dataset.theme;
    dark = el.dataset.embedded ? ground(el) : Boolean(system?.matches);
    el.dataset.theme = dark ? "dark" : "light";
    if (el.dataset.theme !== before) changed();
  };
  const watch = new MutationObserver(() => setTimeout(read, 100)); // a notebook fades or loads its colours
  for (const each of el.dataset.embedded ? [document.documentElement, document.body] : []) watch.observe(each, { attributes: true });
  const sized = new ResizeObserver(read); // also when the stage comes into the document
  sized.observe(el);
  system?.addEventListener("change", read);
  themed = el;
  read();
  return () => { watch.disconnect(); sized.disconnect(); system?.removeEventListener("change", read); };
}

/** Whether the ground that an element stands on is dark. @param {Element} el */
function ground(el) {
  const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  for (let at = el.parentNode; at; at = at instanceof ShadowRoot ? at.host : at.parentNode) {
    if (!(at instanceof Element)) continue;
    pen.fillStyle = getComputedStyle(at).backgroundColor; // in any of the ways to write a colour
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    if (a > 127) return ink([r, g, b]) === "#fff";
  }
  return false;
}

/** @type {Map<string, string>} */
const tokens = new Map();

/** Return a colour of the style sheet by its name, or another property of the stage, read once a theme. @param {string} name */
export function token(name) {
  const key = `${dark} ${name}`;
  let found = tokens.get(key);
  if (!found) tokens.set(key, (found = getComputedStyle(themed ?? document.body).getPropertyValue(name).trim()));
  return found;
}
