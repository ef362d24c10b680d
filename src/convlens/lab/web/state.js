// Where the reader stands, as a value and as the text in the address bar.

/** @type {readonly Distance[]} */
export const DISTANCES = ["network", "step", "window", "number"];

/** @type {State} */
export const START = {
  at: "", index: null, near: "window", way: "made", from: null, channel: null, trail: [], set: [], with: "",
  open: [], scale: "unit", zoom: 0, found: null, station: null, least: 50, tint: 55,
};

/** @param {string} text */
function numbers(text) {
  const parts = text ? text.split(",") : [];
  return parts.every((part) => /^\d{1,9}$/.test(part)) ? parts.map(Number) : undefined;
}

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

/** @type {Form<string>} */
const NAME = { write: encodeURIComponent, read: decoded };
/** @type {Form<number[]>} */
const INDEX = { write: String, read: numbers };
/** @type {Form<Stop>} */
const STOP = {
  write: ({ at, index }) => `${encodeURIComponent(at)}!${index}`,
  read(text) {
    const [at, place] = halves(text), index = numbers(place);
    return at && index ? { at, index } : undefined;
  },
};
/** @type {Form<Change>} */
const CHANGE = {
  write: ({ at, index, to }) => `${encodeURIComponent(at)}!${index}:${to === "mute" ? to : Number(to.toPrecision(9))}`,
  read(text) {
    const [at, change] = halves(text), [where, to] = change.split(":"), index = numbers(where), number = to ? Number(to) : NaN;
    if (!at) return;
    if (to === "mute") return index?.length === 1 ? { at, index: index[0], to } : undefined;
    if (index) return Number.isFinite(number) ? { at, index, to: number } : undefined;
    return /^(stride|padding|dilation)$/.test(where) && /^\d{1,9}$/.test(to) ? { at, index: where, to: number } : undefined;
  },
};

/** @param {string[]} texts @returns {Form<string>} */
const choice = (...texts) => ({ write: String, read: (text) => texts.find((each) => each === text) });

/** A whole number; one beyond `low` or `high` is read as that. @param {number} [low] @param {number} [high] @returns {Form<number>} */
const whole = (low = 0, high = Infinity) => ({ write: String, read: (text) => (/^-?\d{1,9}$/.test(text) && (low || text[0] !== "-") ? Math.max(low, Math.min(high, Number(text))) : undefined) });

/** @template T @param {Form<T>} form @returns {Form<T[]>} */
const list = ({ write, read }) => ({ write: (parts) => parts.map(write).join(";"), read: (text) => text.split(";").flatMap((part) => (part && read(part)) || []) });

/** @type {Record<keyof State, Form<unknown>>} */
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
