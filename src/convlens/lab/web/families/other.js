// A step without a family of its own on the bench: its number, and the terms that the lens found for the number opened last.

import { html, nothing } from "../vendor/lit-html.js";
import { same } from "./family.js";
import { short } from "../numbers.js";

/** @type {import("./family.js").Family} */
export const other = {
  terms: () => [],
  around: (laid, cell) => (laid.shown && same(laid.shown.shape, laid.out.shape) ? cell : laid.out.shape.map(() => 0)),
  lit: (laid, place) => (laid.shown && same(laid.shown.shape, laid.out.shape) ? [place] : []),
  sentence: ({ laid, place }) => `${laid.answer.note || laid.answer.formula || `Made by ${laid.step?.op ?? "the network"}.`} Here: ${short(laid.recorded(place))}.`,
  middle: () => nothing,
  line: ({ laid, place }) => html`<p class="total"><b>${short(laid.recorded(place))}</b></p>`,
  sign: "→",
  caption: (laid) => laid.step?.op ?? "",
};
