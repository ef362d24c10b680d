// A number that the reader may turn: by dragging up and down, by keys, and back again by a double click.

/** @typedef {import("./stage.js").Stage} Stage */

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
