// Where the reader stands, as a value and as the text in the address bar.

/**
 * @typedef {{ at: string, index: number[] }} Stop one number passed: a value's name and an index
 * @typedef {"unit" | "step" | "network"} Scale
 * @typedef {object} State
 * @property {string} at name of the value whose maps are shown
 * @property {number[] | null} index the number opened, none when null
 * @property {Stop[]} trail the numbers passed through, first opened first
 * @property {Scale} scale what shares a colour scale
 * @property {number} first index on the first axis, where a sheet shows one of it
 * @property {number[]} held indices of the axes held still on the sheet
 * @property {number | null} side the axis laid out side by side, the sheet's own choice when null
 * @property {number} zoom steps above (+) or below (-) what fits
 * @property {number | null} detection the detection walked back, by its number in the network's answer
 * @property {number | null} station the station of its walk that is opened
 * @property {number} least hundredths a detection must score to be listed
 * @property {number} tint how strongly segments colour the picture, in hundredths
 */

/** @type {State} */
export const START = {
  at: "", index: null, trail: [], scale: "unit", first: 0, held: [], side: null, zoom: 0,
  detection: null, station: null, least: 50, tint: 55,
};

/** Return the state at another value, with what the reader set for the whole page. @param {State} state @param {string} at @returns {State} */
export function fresh({ scale, least, tint }, at) {
  return { ...START, at, scale, least, tint };
}

/** Write a state for the address bar; defaults are left out. @param {State} state */
export function format(state) {
  const parts = [`at=${encodeURIComponent(state.at)}`];
  if (state.index) parts.push(`index=${state.index.join(",")}`);
  if (state.trail.length) {
    const steps = state.trail.map((e) => `${encodeURIComponent(e.at)}!${e.index.join(",")}`);
    parts.push(`trail=${steps.join(";")}`);
  }
  if (state.scale !== START.scale) parts.push(`scale=${state.scale}`);
  const own = state.index ?? [];
  if (state.first !== (own[0] ?? 0)) parts.push(`first=${state.first}`);
  if (state.held.some((at, axis) => at !== (own[axis] ?? 0))) parts.push(`held=${state.held.join(",")}`);
  if (state.side !== null) parts.push(`side=${state.side}`);
  if (state.zoom) parts.push(`zoom=${state.zoom}`);
  if (state.detection !== null) parts.push(`detection=${state.detection}`);
  if (state.station !== null) parts.push(`station=${state.station}`);
  if (state.least !== START.least) parts.push(`least=${state.least}`);
  if (state.tint !== START.tint) parts.push(`tint=${state.tint}`);
  return parts.join("&");
}

/**
 * Read what `format` wrote; ignore anything that cannot be read.
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
  const trail = (parts.trail ?? "").split(";").flatMap((step) => {
    const cut = step.lastIndexOf("!");
    const index = cut < 0 ? null : indexOf(step.slice(cut + 1));
    return index ? [{ at: decoded(step.slice(0, cut)), index }] : [];
  });
  const zoom = Number(parts.zoom ?? 0);
  const index = parts.index === undefined ? null : indexOf(parts.index);
  return {
    at: decoded(parts.at ?? ""),
    index,
    trail,
    scale: parts.scale === "step" || parts.scale === "network" ? parts.scale : "unit",
    first: whole(parts.first) ?? index?.[0] ?? 0,
    held: parts.held ? indexOf(parts.held) ?? [] : index ?? [],
    side: whole(parts.side),
    zoom: Number.isInteger(zoom) ? Math.max(-12, Math.min(12, zoom)) : 0,
    detection: whole(parts.detection),
    station: whole(parts.detection) === null ? null : whole(parts.station),
    least: Math.min(100, whole(parts.least) ?? START.least),
    tint: Math.min(100, whole(parts.tint) ?? START.tint),
  };
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
