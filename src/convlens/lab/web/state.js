// Where the reader stands, as a value and as the text in the address bar.

/** @typedef {{ at: string, index: number[], to: number }} SetNumber */

/** @type {readonly Distance[]} */
export const DISTANCES = ["network", "step", "window", "number"];

/** @type {State} */
export const START = {
  at: "", index: null, near: "window", way: "made", from: null, channel: null, trail: [], set: [], with: "",
  open: [], scale: "unit", zoom: 0, found: null, station: null, least: 50, tint: 55,
};

/** How a part of a state is written, and read; what cannot be read is undefined. @typedef {{ write(part: unknown): string, read(text: string): unknown }} Form */

/** @param {string} text */
const numbers = (text) => (text === "" ? [] : text.split(",").every((part) => /^\d{1,9}$/.test(part)) ? text.split(",").map(Number) : undefined);

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** Cut at the last "!". @param {string} text */
function halves(text) {
  const cut = text.lastIndexOf("!");
  return cut > 0 ? [decoded(text.slice(0, cut)), text.slice(cut + 1)] : ["", ""];
}

/** @param {string} text @returns {Change | undefined} */
function changeOf(text) {
  const [at, change] = halves(text);
  const [where, to] = change.split(":");
  const index = numbers(where);
  const number = to ? Number(to) : NaN;
  if (!at) return;
  if (to === "mute") return index?.length === 1 ? { at, index: index[0], to } : undefined;
  if (index) return Number.isFinite(number) ? { at, index, to: number } : undefined;
  return /^(stride|padding|dilation)$/.test(where) && /^\d{1,9}$/.test(to) ? { at, index: where, to: number } : undefined;
}

const NAME = { write: encodeURIComponent, read: decoded };
const INDEX = { write: String, read: numbers };
const STOP = {
  write: (/** @type {Stop} */ { at, index }) => `${encodeURIComponent(at)}!${index}`,
  read(/** @type {string} */ text) {
    const [at, place] = halves(text);
    const index = numbers(place);
    return at && index ? { at, index } : undefined;
  },
};
const CHANGE = {
  write: (/** @type {Change} */ { at, index, to }) => `${encodeURIComponent(at)}!${index}:${to === "mute" ? to : Number(to.toPrecision(9))}`,
  read: changeOf,
};

/** @param {string[]} texts */
const choice = (...texts) => ({ write: String, read: (/** @type {string} */ text) => texts.find((each) => each === text) });

/** A whole number; one beyond `low` or `high` is read as that. @param {number} [low] @param {number} [high] */
const whole = (low = 0, high = Infinity) => ({
  write: String,
  read: (/** @type {string} */ text) => (/^-?\d{1,9}$/.test(text) && (low || text[0] !== "-") ? Math.max(low, Math.min(high, Number(text))) : undefined),
});

/** @param {Form} form */
const list = ({ write, read }) => ({
  write: (/** @type {unknown[]} */ parts) => parts.map(write).join(";"),
  read: (/** @type {string} */ text) => text.split(";").flatMap((part) => (part && read(part)) || []),
});

/** @type {Record<keyof State, Form>} */
const FORMS = {
  at: NAME, index: INDEX, near: choice(...DISTANCES), way: choice("made", "feeds"), from: INDEX, channel: whole(), trail: list(STOP), set: list(CHANGE), with: NAME,
  open: list(NAME), scale: choice("unit", "step"), zoom: whole(-12, 12), found: whole(), station: whole(), least: whole(0, 100), tint: whole(0, 100),
};

/** Write the changes of a state, as the question `replay` takes them. @param {Change[]} set */
export const changes = (set) => FORMS.set.write(set);

/** Write a state for the address bar; defaults are left out. @param {State} state */
export function format(state) {
  return Object.entries(FORMS).flatMap(([name, { write }]) => {
    const [part, start] = [state, START].map((each) => each[/** @type {keyof State} */ (name)]);
    return part === null || (start !== null && write(part) === write(start)) ? [] : `${name}=${write(part)}`;
  }).join("&");
}

/** Read what `format` wrote; what cannot be read is as if it were not there. @param {string} text @returns {State} */
export function parse(text) {
  const given = Object.fromEntries(text.replace(/^#/, "").split("&").map((part) => [part.split("=", 1)[0], part.slice(part.indexOf("=") + 1)]));
  return { ...START, ...Object.fromEntries(Object.entries(FORMS).flatMap(([name, { read }]) => {
    const part = name in given ? read(given[name]) : undefined;
    return part === undefined ? [] : [[name, part]];
  })) };
}
