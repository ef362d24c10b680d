// What if: numbers that the reader turns, maps switched off, strides changed; the lab replays the network from there on.

import { html, nothing } from "./vendor/lit-html.js";
import { ask } from "./asking.js";
import { menu, scored } from "./frame.js";
import { ravel, short, signed } from "./numbers.js";
import { changes } from "./state.js";

export class Changes {
  /** The values that the reader's changes have reached. @type {Set<number>} */ touched = new Set();
  #running = false;
  #applied = "";
  /** @type {NetworkAnswer["scores"]} */ #before = [];

  /** @param {Stage} stage */
  constructor(stage) {
    this.stage = stage;
  }

  /** Forget the changes of another network or picture. */
  begin() {
    this.#applied = "";
    this.touched = new Set();
    this.#before = this.stage.net.told.scores;
  }

  /** Whether the recording that is shown is a changed one. */
  get any() {
    return this.#applied !== "";
  }

  /** Whether the recording that is shown has the changes of the state. */
  get settled() {
    return changes(this.stage.state.set) === this.#applied;
  }

  /** Replay until the recording is that of the state; the page shows the newest one meanwhile. */
  async settle() {
    if (this.#running) return;
    this.#running = true;
    const { stage } = this;
    try {
      while (!this.settled) {
        await this.#replay(changes(stage.state.set));
        await stage.draw();
      }
    } catch (error) { // the network refuses the change: it is taken back
      stage.alert(error);
      stage.undo();
    } finally {
      this.#running = false;
    }
  }

  /** @param {string} wanted */
  async #replay(wanted) {
    const { stage, stage: { questions, net, base } } = this, { told } = net;
    if (wanted) {
      const { network, recording, scores, touched } = await ask(stage.model, "replay", { recording: base, changes: wanted });
      this.touched = new Set(touched);
      if (network) await stage.reopen(network);
      else {
        questions.about(recording);
        net.told = { ...told, recording, scores };
      }
      stage.alert(network?.fault ? `With this change the network stops at ${network.fault.label || network.fault.op}: ${network.fault.sentence}` : "");
    } else {
      if (this.#before !== told.scores) await stage.reopen(await questions.network());
      questions.about(base);
      this.touched = new Set();
      stage.alert("");
    }
    this.#applied = wanted;
    stage.strip.changed();
  }

  /** What the number was before, and by how much it moved; or what it is there, and how far from here. @param {Laid} laid @param {number[]} place */
  difference(laid, place) {
    const real = laid.seat("real"), other = real?.numbers[ravel(place, real.shape)], own = laid.recorded(place), { beside } = laid;
    if (other === undefined || Object.is(other, own)) return nothing;
    const which = this.any ? (beside ? "now" : "was") : beside ? "here" : "there";
    return html` <span class="delta">${which} ${short(other)}, ${this.any ? "" : "difference "}${signed(beside ? other - own : own - other)}</span>`;
  }

  /** What the answer was before. @param {string} label */
  was(label) {
    const { told } = this.stage.net, [best] = this.#before, [now] = told.scores;
    if (!this.any || !best || (best.label === now?.label && best.text === now.text)) return nothing;
    const [name, part] = scored(told, best);
    return html` <span class="delta">was ${name === label ? "" : name} ${part}</span>`;
  }
}

/** What turns a number: keys, a drag up or down, a double click, which restores it. @param {Stage} stage @param {string} at @param {number[]} index @param {number} x @param {number} most */
export function editable(stage, at, index, x, most) {
  const set = (/** @type {number} */ to) => stage.change({ at, index, to }), restore = () => stage.restoreNumber(at, index);
  return {
    restore,
    key(/** @type {KeyboardEvent} */ event) {
      const unit = most / (event.shiftKey ? 4 : 20), to = { ArrowUp: x + unit, ArrowDown: x - unit, PageUp: x + most / 2, PageDown: x - most / 2, 0: 0 }[event.key];
      if (to !== undefined) set(to);
      else if (/^(Delete|Home)$/.test(event.key)) restore();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    drag(/** @type {PointerEvent} */ { currentTarget, clientY, pointerId }) {
      const el = /** @type {HTMLElement} */ (currentTarget), held = new AbortController(), { signal } = held;
      el.setPointerCapture(pointerId);
      el.focus();
      el.addEventListener("pointermove", (later) => { if (Math.abs(later.clientY - clientY) > 3) set(x + ((clientY - later.clientY) / 90) * most); }, { signal });
      for (const end of ["pointerup", "pointercancel"]) el.addEventListener(end, () => held.abort(), { signal });
    },
  };
}

/** The stride, padding and dilation of a step, and whether its map is on. @param {Stage} stage @param {Laid} laid */
export function controls(stage, { step, net, out }) {
  const axis = step?.windows.at(-1), index = out.at.at(-1) ?? 0;
  if (!step || !axis || axis.adaptive) return nothing;
  const at = net.value(step.outputs[0]).name, muted = stage.isSet(at, index);
  const choose = (/** @type {string} */ name, /** @type {number} */ now, /** @type {number[]} */ some) => {
    const all = [...new Set([...some, now])].sort((a, b) => a - b).map((n) => /** @type {const} */ ([`${n}`, `${n}`]));
    return html`<label>${name} ${menu(name, all, `${now}`, (to) => stage.change({ at, index: name, to: Number(to) }))}</label>`;
  };
  return html`<div class="whatif soft" role="group" aria-label="What if">${choose("stride", axis.stride, [1, 2, 3, 4])}${choose("padding", axis.before, [0, 1, 2, 3])}
    ${step.family === "avg_pool" ? nothing : choose("dilation", axis.dilation, [1, 2, 3])}<label><input type="checkbox" .checked=${muted}
    @change=${() => (muted ? stage.restoreNumber(at, index) : stage.change({ at, index, to: "mute" }))}> mute this map</label></div>`;
}
