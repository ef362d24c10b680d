// Take a number along: its address, its Python, its figure, the page as a file.

import { isDark } from "./colours.js";
import { menu } from "./frame.js";

/** @param {Stage} stage */
export const share = (stage) => menu("Share", [["", "share …"], ["address", "Copy the address"], ["python", "Copy as Python"], ["command", "Copy the command for a file"], ["svg", "Save as SVG"], ["png", "Save as PNG"]],
  "", (way) => shared(stage, way).catch((error) => stage.alert(error)), "wide");

/** @param {Stage} stage @param {string} way */
async function shared({ value, state: { index }, questions, net: { told } }, way) {
  const copy = (/** @type {string} */ text) => navigator.clipboard.writeText(text);
  if (way === "address") return copy(location.href);
  if (!value || !index) return;
  const about = { value: value.id, index };
  if (way === "python" || way === "command") {
    const { text, command } = await questions.once("python", about);
    if (way === "command" && !command) throw new Error("No command names this network on this picture; copy it as Python, or start the lab on files.");
    return copy(way === "python" ? text : command);
  }
  const { content } = await questions.once("figure", { ...about, form: way, dark: isDark() }), link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (content)], { type: way === "svg" ? "image/svg+xml" : "image/png" }));
  link.download = `${told.name}-${value.name}-${index.join("-")}.${way}`.replace(/[^\w.-]+/g, "-");
  link.click();
  URL.revokeObjectURL(link.href);
}
