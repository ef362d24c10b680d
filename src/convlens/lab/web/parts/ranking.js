// The terms of a number, the strongest first; what is beyond the edge, and the sum of those that are not listed.

/** @typedef {{ value: number, position: number, x: number, weight: number, product: number, won: boolean, factor: [value: number, position: number] }} Line a term: the element it reads, times its weight, which `factor` is */

/** Return the terms that an explanation lists, strongest first, or of a choice the winner and then those that come next to it. @param {Explained} explained */
export function ranked({ groups, rule, kind, count, products }) {
  const chosen = rule === "chosen", all = groups.flatMap(({ source, position, value, weight, product, weight_source, weight_position }) => source.map((id, i) => /** @type {Line} */ ({
    value: id, position: position[i], x: value[i], weight: weight[i], product: product[i], won: chosen && weight[i] !== 0, factor: [weight_source[i], weight_position[i]] })));
  const size = (/** @type {Line} */ { won, x, product }) => (won ? Infinity : !chosen ? Math.abs(product) : kind === "windowed" ? x : 0);
  const lines = all.filter(({ value }) => value >= 0).sort((a, b) => (size(b) === size(a) ? 0 : size(b) > size(a) ? 1 : -1));
  return { lines, edge: all.length - lines.length, count: count - all.length + lines.length, products };
}

/** Return the first lines, and the count and sum of all others. @template {{ product: number }} T @param {{ lines: T[], count: number, products: number }} all @param {number} most */
export function folded({ lines, count, products }, most) {
  const added = (/** @type {T[]} */ some, from = 0) => some.reduce((sum, { product }) => sum + product, from), shown = lines.slice(0, most);
  return { shown, count: count - shown.length, sum: added(lines.slice(most), count > lines.length ? products - added(lines) : 0) };
}
