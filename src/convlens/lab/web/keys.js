// The keys of the page in one table: what `?` shows, and what a key does.

import { DISTANCES } from "./state.js";

const window = (/** @type {Stage} */ { state, value, picture }) => state.near === "window" && !picture.holds(value);
const far = (/** @type {Stage} */ { state }) => state.near === "network" || state.near === "step";

/** The keys, how they are shown, what they do in words, what they do, and when. @type {[string, string, string, (stage: Stage, key: string) => unknown, ((stage: Stage) => boolean)?][]} */
export const KEYS = [
  ["1 2 3 4", "1 2 3 4", "network, step, window, number", (stage, key) => stage.go({ near: DISTANCES[Number(key) - 1] })],
  ["Enter + =", "+ Enter", "nearer; at a number, into its strongest term", (stage) => stage.nearer()],
  ["Escape Backspace -", "− Esc", "farther, or back to the number before", (stage) => stage.farther()],
  ["ArrowUp ArrowDown", "arrows", "move the window", ({ bench }, key) => bench.arrows(key === "ArrowUp" ? -1 : 1, 0), window],
  ["ArrowLeft ArrowRight", "", "", ({ bench }, key) => bench.arrows(0, key === "ArrowLeft" ? -1 : 1), window],
  ["ArrowLeft ArrowRight", "← →", "previous, next step", (stage, key) => stage.neighbour(key === "ArrowLeft" ? -1 : 1), far],
  [", .", ", .", "one place back, one place on", ({ bench }, key) => bench.next(key === "," ? -1 : 1), window],
  ["space", "space", "play, pause", ({ bench }) => bench.play(), window],
  ["[ ]", "[ ]", "previous, next map", (stage, key) => stage.turn(key === "[" ? -1 : 1)],
  ["{ }", "{ }", "previous, next input map", (stage, key) => stage.turnInput(key === "{" ? -1 : 1)],
  ["f", "f", "made of, or feeds", ({ state, go }) => go({ way: state.way === "made" ? "feeds" : "made", from: null })],
  ["ctrl+k", "ctrl K", "go to a step or a number", ({ menus }) => menus.find()],
  ["ctrl+z", "ctrl Z", "undo a change", (stage) => stage.undo()],
  ["?", "?", "a tour, and these keys", ({ tour }) => tour.begin()],
];

/** Do what a key does, where it does something. @param {Stage} stage @param {KeyboardEvent} event */
export function press(stage, event) {
  const target = /** @type {HTMLElement} */ (event.target), control = event.ctrlKey || event.metaKey;
  if (event.altKey || event.defaultPrevented) return;
  if (!control && target.closest("input, select, textarea, dialog")) return;
  if (target.closest("button, a, summary") && /^(Enter| )$/.test(event.key)) return;
  const key = event.key === " " ? "space" : event.key, name = control ? `ctrl+${key.toLowerCase()}` : key;
  const [, , , act] = KEYS.find(([keys, , , , when]) => keys.split(" ").includes(name) && (!when || when(stage))) ?? [];
  if (!act) return;
  event.preventDefault();
  act(stage, event.key);
}
