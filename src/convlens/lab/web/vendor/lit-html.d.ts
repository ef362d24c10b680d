// The part of lit-html 3 that the page uses; https://lit.dev/docs/api/templates/

export interface TemplateResult {
  strings: TemplateStringsArray;
  values: unknown[];
}

/** An event as a handler in a template has it: the template says which one it is, and of what. */
interface Handled extends KeyboardEvent, PointerEvent {
  target: HTMLInputElement & HTMLSelectElement;
  currentTarget: HTMLElement;
}

type Value = {} | null | undefined | ((event: Handled) => unknown);

export const nothing: unique symbol;
export function html(strings: TemplateStringsArray, ...values: Value[]): TemplateResult;
export function svg(strings: TemplateStringsArray, ...values: Value[]): TemplateResult;
export function render(value: unknown, container: HTMLElement | DocumentFragment | SVGElement): unknown;
