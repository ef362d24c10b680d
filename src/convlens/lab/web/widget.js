// A notebook as a host: anywidget's own model.

import { render as draw } from "./stage.js";
import { patient } from "./patience.js";

const HEIGHT = "min(86vh, 760px)";

/** @param {{ model: import("./asking.js").Model, el: HTMLElement }} host */
export function render({ model, el }) {
  el.style.height = HEIGHT;
  return draw({ model: patient(model), el });
}
