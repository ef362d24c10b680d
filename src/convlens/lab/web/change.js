// What if: numbers that the reader turns, maps switched off, strides changed; the lab replays the network from there on.

import { html, nothing } from "./vendor/lit-html.js";
import { ask } from "./asking.js";
import { percent, short, signed } from "./numbers.js";
import { changes } from "./state.js";

/**
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {import("./laid.js").Laid} Laid
 */

export class Changes {
  #running = false;
  #applied = "";
  /** @type {import("./answers.js").NetworkAnswer["scores"]} */ #before = [];

  /** @param {Stage} stage */
  constructor(stage) {
    this.stage = stage;
  }

  /** Another network or picture was recorded: nothing is changed. */
  begin() {
    this.#applied = "";
    this.#before = this.stage.net.told.scores;
  }

  /** Whether the recording that is shown is a changed one. */
  get any() {
    return this.#applied !== "";
  }

  /** Whether the recording that is shown has the changes of the state. */
  get settled() {
    return changes(this.stage.state) === this.#applied;
  }

  /** Replay until the recording is that of the state; the page shows the newest one meanwhile. */
  async settle() {
    if (this.#running) return;
    this.#running = true;
    const { stage } = this;
    try {
      while (!this.settled) {
        await this.#replay(changes(stage.state));
        await stage.draw();
      }
    } catch (error) {
      stage.refuseChange(error);
    } finally {
      this.#running = false;
    }
  }

  /** @param {string} wanted */
  async #replay(wanted) {
    const { stage } = this;
    const { told } = stage.net;
    if (!wanted) {
      if (this.#before !== told.scores) await stage.reopen(await stage.questions.network());
    } else {
      const { network, recording, scores } = await ask(stage.model, "replay", { recording: stage.base, changes: wanted });
      if (network) await stage.reopen(network);
      else {
        stage.questions.about(recording);
        stage.net.told = { ...told, recording, scores };
      }
    }
    if (!wanted) stage.questions.about(stage.base);
    this.#applied = wanted;
    stage.strip.changed();
  }

  /** What the number was before, and by how much it moved. @param {Laid} laid @param {number[]} place */
  difference(laid, place) {
    const real = laid.seat("real");
    if (!real) return nothing;
    const was = real.numbers[place.reduce((at, i, axis) => at * real.shape[axis] + i, 0)];
    const now = laid.recorded(place);
    return Object.is(was, now) ? nothing : html` <span class="delta">${this.any ? "was" : "there"} ${short(was)}, ${signed(now - was)}</span>`;
  }

  /** What the answer was before. @param {string} label */
  was(label) {
    const [best] = this.#before;
    if (!this.any || !best) return nothing;
    const now = this.stage.net.told.scores[0];
    if (best.label === now?.label && best.text === now?.text) return nothing;
    const name = this.stage.net.told.random ? `class ${best.index.at(-1)}` : best.label;
    return html` <span class="delta">was ${name === label ? "" : name} ${best.share === null ? best.text : percent(best.share)}</span>`;
  }
}

export const editable = {
  /** Arrow keys turn a number, Delete restores it, 0 clears it. @param {Stage} stage @param {string} at @param {number[]} index @param {number} x @param {number} most */
  key: (stage, at, index, x, most) => (/** @type {KeyboardEvent} */ event) => {
    const unit = most / (event.shiftKey ? 4 : 20);
    const by = { ArrowUp: unit, ArrowDown: -unit, PageUp: most / 2, PageDown: -most / 2 }[event.key];
    if (by) stage.change({ at, index, to: x + by });
    else if (event.key === "0") stage.change({ at, index, to: 0 });
    else if (event.key === "Delete" || event.key === "Home") stage.restoreNumber(at, index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  },

  /** Dragging up adds, dragging down takes away. @param {Stage} stage @param {string} at @param {number[]} index @param {number} x @param {number} most */
  drag: (stage, at, index, x, most) => (/** @type {PointerEvent} */ event) => {
    const el = /** @type {HTMLElement} */ (event.currentTarget);
    const from = event.clientY;
    el.setPointerCapture(event.pointerId);
    el.focus();
    const move = (/** @type {PointerEvent} */ later) => {
      if (Math.abs(later.clientY - from) > 3) stage.change({ at, index, to: x + ((from - later.clientY) / 90) * most });
    };
    const end = () => {
      el.removeEventListener("pointermove", move);
      el.removeEventListener("pointerup", end);
      el.removeEventListener("pointercancel", end);
    };
    el.addEventListener("pointermove", move);
    el.addEventListener("pointerup", end);
    el.addEventListener("pointercancel", end);
  },
};

/** The stride, padding and dilation of a step, and whether its map is on. @param {Stage} stage @param {Laid} laid */
export function controls(stage, laid) {
  const { step, net } = laid;
  const axis = step?.windows.at(-1);
  if (!step || !axis || axis.adaptive) return nothing;
  const at = net.value(step.outputs[0]).name;
  const channel = laid.out.at.at(-1) ?? 0;
  const muted = stage.state.mute.some((m) => m.at === at && m.channel === channel);
  const choose = (/** @type {string} */ name, /** @type {number} */ now, /** @type {number[]} */ list) => html`<label>${name} <select @change=${(/** @type {Event} */ e) => stage.argue({ at, name, to: Number(/** @type {HTMLSelectElement} */ (e.target).value) })}>
    ${[...new Set([...list, now])].sort((a, b) => a - b).map((n) => html`<option value=${n} .selected=${n === now}>${n}</option>`)}</select></label>`;
  return html`<div class="whatif soft" role="group" aria-label="What if">${choose("stride", axis.stride, [1, 2, 3, 4])}${choose("padding", axis.before, [0, 1, 2, 3])}
    ${step.family === "avg_pool" ? nothing : choose("dilation", axis.dilation, [1, 2, 3])}<label><input type="checkbox" .checked=${muted} @change=${() => stage.mute({ at, channel })}> mute this map</label></div>`;
}
