// Where the reader stands, as a value and as the text in the address bar.

/**
 * @typedef {{ at: string, index: number[] }} Stop one number passed: a value's name and an index
 * @typedef {{ at: string, index: number[], to: number }} SetNumber a number that the reader changed
 * @typedef {{ at: string, channel: number }} Muted a map that the reader switched off
 * @typedef {{ at: string, name: string, to: number }} SetArgument a stride, a padding, a dilation that the reader changed
 * @typedef {"network" | "step" | "window" | "number"} Distance
 * @typedef {object} State
 * @property {string} at name of the value that is open; the door's when empty
 * @property {number[] | null} index the number that is open
 * @property {Distance} near
 * @property {"made" | "feeds"} way
 * @property {number[] | null} from the input cell that leads, when the way is "feeds"
 * @property {number | null} channel the input map shown; the strongest when null
 * @property {Stop[]} trail the numbers passed through, first opened first
 * @property {SetNumber[]} set
 * @property {Muted[]} mute
 * @property {SetArgument[]} arg
 * @property {string} with what it is compared with
 * @property {string[]} open blocks that are unfolded
 * @property {"unit" | "step"} scale what shares a colour scale on a sheet
 * @property {number} zoom steps above (+) or below (-) what fits
 * @property {number | null} found the detection walked back, by its number
 * @property {number | null} station the station of its walk that is open
 * @property {number} least hundredths a detection must score to be listed
 * @property {number} tint how strongly segments colour the picture, in hundredths
 */

/** @type {readonly Distance[]} */
export const DISTANCES = ["network", "step", "window", "number"];

/** @type {State} */
export const START = {
  at: "", index: null, near: "window", way: "made", from: null, channel: null, trail: [], set: [], mute: [], arg: [], with: "",
  open: [], scale: "unit", zoom: 0, found: null, station: null, least: 50, tint: 55,
};

/** Return the state at another value: what belongs to one value goes, what holds for the page stays. @param {State} state @param {string} at @returns {State} */
export function fresh(state, at) {
  return { ...state, at, index: null, from: null, channel: null, zoom: 0 };
}

/** Write the changes of a state, as the question `replay` takes them. @param {Pick<State, "set" | "mute" | "arg">} state */
export function changes({ set, mute, arg }) {
  return [
    ...set.map((c) => `${encodeURIComponent(c.at)}!${c.index.join(",")}:${Number(c.to.toPrecision(9))}`),
    ...mute.map((m) => `${encodeURIComponent(m.at)}!${m.channel}:mute`),
    ...arg.map((a) => `${encodeURIComponent(a.at)}!${a.name}:${a.to}`),
  ].join(";");
}

/** Write a state for the address bar; defaults are left out. @param {State} state */
export function format(state) {
  const parts = [];
  const put = (/** @type {string} */ name, /** @type {string | number | null} */ text) => { if (text !== null && text !== "") parts.push(`${name}=${text}`); };
  const changed = (/** @type {keyof State} */ name) => { if (state[name] !== START[name]) put(name, /** @type {string | number | null} */ (state[name])); };
  put("at", encodeURIComponent(state.at));
  if (state.index) parts.push(`index=${state.index.join(",")}`);
  for (const name of /** @type {(keyof State)[]} */ (["near", "way"])) changed(name);
  if (state.from) parts.push(`from=${state.from.join(",")}`);
  changed("channel");
  put("trail", state.trail.map((e) => `${encodeURIComponent(e.at)}!${e.index.join(",")}`).join(";"));
  put("set", changes(state));
  put("with", encodeURIComponent(state.with));
  put("open", state.open.map(encodeURIComponent).join(";"));
  for (const name of /** @type {(keyof State)[]} */ (["scale", "zoom", "found", "station", "least", "tint"])) changed(name);
  return parts.join("&");
}

/**
 * Read what `format` wrote; what cannot be read is as if it were not there.
 * @param {string} text
 * @returns {State}
 */
export function parse(text) {
  /** @type {Record<string, string>} */
  const parts = {};
  for (const part of text.replace(/^#/, "").split("&")) {
    const cut = part.indexOf("=");
    if (cut > 0) parts[part.slice(0, cut)] = part.slice(cut + 1);
  }
  const list = (/** @type {string} */ name) => (parts[name] ?? "").split(";").filter(Boolean);
  const zoom = Number(parts.zoom ?? 0);
  return {
    at: decoded(parts.at ?? ""),
    index: parts.index === undefined ? null : indexOf(parts.index),
    near: DISTANCES.find((d) => d === parts.near) ?? START.near,
    way: parts.way === "feeds" ? "feeds" : "made",
    from: parts.from ? indexOf(parts.from) : null,
    channel: whole(parts.channel),
    trail: list("trail").flatMap((stop) => {
      const [at, index] = halves(stop);
      const found = indexOf(index);
      return at && found ? [{ at, index: found }] : [];
    }),
    ...changesOf(list("set")),
    with: decoded(parts.with ?? ""),
    open: list("open").map(decoded).filter(Boolean),
    scale: parts.scale === "step" ? "step" : "unit",
    zoom: Number.isInteger(zoom) ? Math.max(-12, Math.min(12, zoom)) : 0,
    found: whole(parts.found),
    station: whole(parts.station),
    least: Math.min(100, whole(parts.least) ?? START.least),
    tint: Math.min(100, whole(parts.tint) ?? START.tint),
  };
}

/** @param {string[]} list @returns {Pick<State, "set" | "mute" | "arg">} */
function changesOf(list) {
  /** @type {Pick<State, "set" | "mute" | "arg">} */
  const found = { set: [], mute: [], arg: [] };
  for (const each of list) {
    const [at, change] = halves(each);
    const [where, to] = change.split(":");
    const index = indexOf(where ?? "");
    const number = Number(to);
    if (!at || to === undefined || to === "") continue;
    if (to === "mute" && index?.length === 1) found.mute.push({ at, channel: index[0] });
    else if (index && Number.isFinite(number)) found.set.push({ at, index, to: number });
    else if (/^(stride|padding|dilation)$/.test(where) && whole(to) !== null) found.arg.push({ at, name: where, to: number });
  }
  return found;
}

/** Cut at the last "!". @param {string} text @returns {[string, string]} */
function halves(text) {
  const cut = text.lastIndexOf("!");
  return cut < 0 ? ["", ""] : [decoded(text.slice(0, cut)), text.slice(cut + 1)];
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** @param {string | undefined} text @returns {number | null} */
function whole(text) {
  return (indexOf(text ?? "") ?? [])[0] ?? null;
}

/** @param {string} text @returns {number[] | null} */
function indexOf(text) {
  if (text === "") return [];
  const parts = text.split(",");
  return parts.every((part) => /^\d{1,9}$/.test(part)) ? parts.map(Number) : null;
}
