// A notebook as a host: anywidget's own model. The page takes only the keys that are pressed inside it.

import { patient } from "./patience.js";
import { render as draw } from "./stage.js";

/** @param {{ model: Model, el: HTMLElement }} host */
export function render({ model, el }) {
  el.tabIndex = 0;
  el.dataset.embedded = "true";
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab's shortcuts, which its command mode has for every key
  return draw({ model: patient(model), el });
}
