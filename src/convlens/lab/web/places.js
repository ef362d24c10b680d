// Where the cards of a plan stand on the strip, and the lines between them.

/**
 * @typedef {import("./layout.js").Plan} Plan
 * @typedef {import("./layout.js").Card} Card
 * @typedef {{ laid: Plan, open: Set<string>, size: number, tall: number, stack: number, named: boolean, arc: number, step: number,
 *   width: number, height: number, x: (card: { rank: number }) => number, y: (card: { lane: number }) => number, start: (card: { lane: number }) => number, end: (card: { lane: number }) => number }} Places
 *   a thumbnail is `size` wide and `tall` high, a card has a `stack` of them; `step` from rank to rank; `x`, `y` of a thumbnail, `start` and `end` of a lane;
 *   `open`: what the reader unfolded; `arc`: how high a skip goes
 * @typedef {{ open: Set<string>, ratio: number, wide: number, high: number | null, more: number }} Room
 *   `high` is null on the thin strip; the tallest map has `ratio` of its width; `more` pixels under each card
 */

const HEAD = 24, GAP = 12; // pixels above an unfolded block; between lanes

/** @param {number} low @param {number} x @param {number} high */
const within = (low, x, high) => Math.max(low, Math.min(high, x));

/** Place a plan in a room of pixels. @param {Plan} laid @param {Room} room @returns {Places} */
export function places(laid, { open, ratio, wide, high, more }) {
  const { ranks, lanes, links, cards } = laid, big = high !== null, phone = wide < 520, named = big || lanes < 3, arc = big ? 30 : named ? 10 : 6;
  const deep = big ? Math.max(0, ...cards.map((card) => card.within.filter(({ key }) => open.has(key)).length)) : 0;
  const most = big ? 132 : Math.round((lanes > 2 ? 20 : lanes > 1 ? 34 : 48) / Math.max(ratio, 0.6));
  const size = Math.round(within(Math.min(most, big ? (phone ? 56 : 64) : phone ? 40 : 44), wide / ranks - (big ? 34 : 16), most)), tall = Math.round(size * ratio);
  const rows = Array.from({ length: lanes }, (_, at) => {
    const here = cards.filter(({ lane }) => lane === at), skips = links.some(({ from, skip }) => skip && here.some(({ key }) => key === from));
    return { above: deep * HEAD + (skips ? arc : 0), under: (big ? 76 + (here.some(({ folded }) => folded) ? 28 : 0) : named ? 18 : 0) + more };
  });
  const gap = big ? GAP : 6, fixed = rows.reduce((sum, { above, under }) => sum + above + under + gap, 8);
  const stack = big ? within(1, Math.floor((high - fixed) / lanes / (tall + 6)), phone ? 3 : 6) : 1;
  let height = 8;
  const tops = rows.map(({ above, under }) => {
    const start = height, top = start + above, end = top + stack * (tall + 6) - 6 + under;
    height = end + gap;
    return { start, top, end };
  });
  const edge = big || named ? 28 : 16, step = within(size + (big ? 26 : 16), (wide - 2 * edge - size) / Math.max(1, ranks - 1), size + (big ? 90 : 60));
  const across = (ranks - 1) * step + size, left = Math.max(edge, (wide - across) / 2);
  return { laid, open, size, tall, stack, named, arc, step, width: Math.max(wide, left + across + edge), height,
    x: ({ rank }) => left + rank * step, y: ({ lane }) => tops[lane].top, start: ({ lane }) => tops[lane].start, end: ({ lane }) => tops[lane].end };
}

/** Draw a link: over the cards between, or around those of other lanes. @param {Places} places @param {Card} from @param {Card} to @param {boolean} skip */
export function curve({ laid, size, tall, arc, step, x, y }, from, to, skip) {
  const [x1, y1, x2, y2] = [x(from) + size, y(from) + tall / 2, x(to), y(to) + tall / 2], far = to.rank - from.rank, bend = Math.min(step - size, 40);
  if (skip) {
    const [a, b, above, low] = [x1 - size / 2, x2 + size / 2, y(from) - Math.min(arc, 8 + 4 * far), y(from) - 2], turn = Math.min(step / 2, (b - a) / 2);
    return `M${a},${low}C${a},${above} ${a},${above} ${a + turn},${above}H${b - turn}C${b},${above} ${b},${above} ${b},${low}`;
  }
  if (far < 2) return `M${x1},${y1}C${(x1 + x2) / 2},${y1} ${(x1 + x2) / 2},${y2} ${x2},${y2}`;
  const free = (/** @type {Card} */ end) => !laid.cards.some(({ rank, lane }) => lane === end.lane && rank > from.rank && rank < to.rank);
  const way = free(from) ? y1 : free(to) ? y2 : Math.max(y(from), y(to)) - 4;
  return `M${x1},${y1}C${x1 + bend / 2},${y1} ${x1 + bend / 2},${way} ${x1 + bend},${way}H${x2 - bend}C${x2 - bend / 2},${way} ${x2 - bend / 2},${y2} ${x2},${y2}`;
}

/** The middle of a link, where its plumbing stands. @param {Places} places @param {Card} from @param {Card} to @returns {[number, number]} */
export const middle = ({ size, tall, step, x, y }, from, to) => (to.rank - from.rank < 2 ? [(x(from) + size + x(to)) / 2, (y(from) + y(to) + tall) / 2] : [x(to) - (step - size) / 2, y(to) + tall / 2]);

/** The blocks that the reader unfolded, each with the box around its cards. @param {Places} places */
export function blocks({ laid, open, size, x, start, end }) {
  const found = new Map(laid.cards.flatMap(({ within }) => within.filter(({ key }) => open.has(key)).map(({ key, label }, level) => [key, { label, level }])));
  return [...found].map(([key, { label, level }]) => {
    const cards = laid.cards.filter(({ within }) => within.some((outer) => outer.key === key)), edge = 12 - 3 * Math.min(level, 3);
    const ranks = cards.map(({ rank }) => rank), lanes = cards.map(({ lane }) => lane), first = { lane: Math.min(...lanes) };
    const left = x({ rank: Math.min(...ranks) }) - edge, top = start(first) + level * HEAD;
    return { key, label, left, top, width: x({ rank: Math.max(...ranks) }) + size + edge - left, height: end({ lane: Math.max(...lanes) }) + 6 - 2 * level - top };
  });
}
