// The keys of the page in one table: what `?` shows, and what a key does.

/**
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {{ keys: string[], shown: string, does: string, act: (stage: Stage, key: string) => unknown, when?: (stage: Stage) => boolean }} Key
 */

const window = (/** @type {Stage} */ { state, value, picture }) => state.near === "window" && !picture.holds(value);
const far = (/** @type {Stage} */ { state }) => state.near === "network" || state.near === "step";

/** @type {Key[]} */
export const KEYS = [
  { keys: ["1", "2", "3", "4"], shown: "1 2 3 4", does: "network, step, window, number", act: (stage, key) => stage.distance(Number(key) - 1) },
  { keys: ["Enter", "+", "="], shown: "+ Enter", does: "nearer; at a number, into its strongest term", act: (stage) => stage.nearer() },
  { keys: ["Escape", "Backspace", "-"], shown: "− Esc", does: "farther, or back to the number before", act: (stage) => stage.farther() },
  { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], shown: "arrows", does: "move the window", when: window, act: (stage, key) => stage.bench.arrows({ ArrowUp: -1, ArrowDown: 1 }[key] ?? 0, { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0) },
  { keys: ["ArrowLeft", "ArrowRight"], shown: "← →", does: "previous, next step", when: far, act: (stage, key) => stage.neighbour(key === "ArrowLeft" ? -1 : 1) },
  { keys: [","], shown: ", .", does: "one place back, one place on", when: window, act: (stage) => stage.bench.next(-1) },
  { keys: ["."], shown: "", does: "", when: window, act: (stage) => stage.bench.next(1) },
  { keys: [" "], shown: "space", does: "play, pause", when: window, act: (stage) => stage.bench.play() },
  { keys: ["["], shown: "[ ]", does: "previous, next map", act: (stage) => stage.turn(-1) },
  { keys: ["]"], shown: "", does: "", act: (stage) => stage.turn(1) },
  { keys: ["{"], shown: "{ }", does: "previous, next input map", act: (stage) => stage.turnInput(-1) },
  { keys: ["}"], shown: "", does: "", act: (stage) => stage.turnInput(1) },
  { keys: ["f"], shown: "f", does: "made of, or feeds", act: (stage) => stage.go({ way: stage.state.way === "made" ? "feeds" : "made", from: null }) },
  { keys: ["ctrl k"], shown: "ctrl K", does: "go to a step or a number", act: (stage) => stage.find() },
  { keys: ["ctrl z"], shown: "ctrl Z", does: "undo a change", act: (stage) => stage.undo() },
  { keys: ["?"], shown: "?", does: "a tour, and these keys", act: (stage) => stage.tour() },
];

/** Do what a key does, where it does something. @param {Stage} stage @param {KeyboardEvent} event */
export function press(stage, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey || event.defaultPrevented) return;
  if (stage.el.dataset.embedded && !stage.el.contains(target)) return; // a notebook's keys are its own
  if (!control && (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || target.closest("dialog"))) return;
  if (target.closest("button, a, summary") && (event.key === "Enter" || event.key === " ")) return;
  const name = control ? `ctrl ${event.key.toLowerCase()}` : event.key;
  const found = KEYS.find(({ keys, when }) => keys.includes(name) && (!when || when(stage)));
  if (!found) return;
  event.preventDefault();
  found.act(stage, event.key);
}
