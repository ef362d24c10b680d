// Numbers to colours: diverging about zero, safe for the colour-blind, for light and dark pages.

// Anchors from most negative to most positive. Activations: ColorBrewer RdBu; weights: BrBG.
// On a dark page the middle is dark, so that zero recedes into the ground.
const FAMILIES = {
  activation: {
    light: "67001f b2182b d6604d f4a582 fddbc7 f7f7f7 d1e5f0 92c5de 4393c3 2166ac 053061",
    dark: "ffd9c4 f9a57c e5694a b8343a 5e1a24 1d1f23 12344f 1b619c 3b97d3 85c6ea d6effb",
  },
  weight: {
    light: "543005 8c510a bf812d dfc27d f6e8c3 f5f5f5 c7eae5 80cdc1 35978f 01665e 003c30",
    dark: "fbe6bd e8bd6c c88a2f 8c5a17 452d0e 1d1f23 0d3b37 0c665e 2c9c90 7acfc2 d0f2ec",
  },
  picture: {
    light: "000000 000000 000000 000000 000000 000000 333333 666666 999999 cccccc ffffff",
    dark: "000000 000000 000000 000000 000000 000000 333333 666666 999999 cccccc ffffff",
  },
};
const STEPS = 255; // colours on each side of zero

/** @typedef {"activation" | "weight" | "picture"} Family */

/** @type {Map<string, Uint8ClampedArray>} */
const tables = new Map();

/**
 * Return 2 * 255 + 1 colours, red green blue, from -1 to 1.
 * @param {Family} family
 * @param {boolean} dark
 */
export function table(family, dark) {
  const key = `${family} ${dark}`;
  let made = tables.get(key);
  if (!made) {
    const anchors = FAMILIES[family][dark ? "dark" : "light"]
      .split(" ")
      .map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    made = new Uint8ClampedArray((2 * STEPS + 1) * 3);
    for (let i = 0; i <= 2 * STEPS; i++) {
      const at = (i / (2 * STEPS)) * (anchors.length - 1);
      const low = Math.min(Math.floor(at), anchors.length - 2);
      for (let c = 0; c < 3; c++) {
        made[3 * i + c] = anchors[low][c] + (at - low) * (anchors[low + 1][c] - anchors[low][c]);
      }
    }
    tables.set(key, made);
  }
  return made;
}

/**
 * Return where in a table a number lies; `span` is the number of the last colour.
 * @param {number} x
 * @param {number} span
 */
export function place(x, span) {
  if (!(span > 0)) return STEPS;
  return STEPS + Math.round(Math.max(-1, Math.min(1, x / span)) * STEPS);
}

/**
 * Return a number's colour as red, green, blue.
 * @param {number} x
 * @param {number} span
 * @param {Family} family
 * @param {boolean} dark
 * @returns {[number, number, number]}
 */
export function colour(x, span, family, dark) {
  if (!Number.isFinite(x)) return NOT_FINITE;
  const at = 3 * place(x, span);
  const colours = table(family, dark);
  return [colours[at], colours[at + 1], colours[at + 2]];
}

/** The colour of what is not a finite number: a violet that no scale contains. @type {[number, number, number]} */
export const NOT_FINITE = [190, 60, 200];

/**
 * Return black or white, the one that is legible on a colour.
 * @param {[number, number, number]} rgb
 */
export function ink([r, g, b]) {
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff";
}

/** @param {[number, number, number]} rgb */
export function css([r, g, b]) {
  return `rgb(${r},${g},${b})`;
}

const dark = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

/** Return whether the page is dark now. */
export function isDark() {
  return Boolean(dark?.matches);
}

/** @param {() => void} changed */
export function onTheme(changed) {
  dark?.addEventListener("change", changed);
  return () => dark?.removeEventListener("change", changed);
}
