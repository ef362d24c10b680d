// The network as a row of cards: modules folded until it fits, ranks by the longest way from the input, lanes by branch.

/**
 * @typedef {import("./answers.js").ValueRow} ValueRow
 * @typedef {Pick<import("./answers.js").NetworkAnswer, "steps" | "calls"> & { values: Map<number, ValueRow> }} Network
 *
 * An input, a step, a module or a run of steps ("block"), or `count` equal blocks in a row ("repeat"). `key` is what `open` takes: a module's
 * label, where it is one. `value`: whose map it shows. `steps`: from the first to before the second. `equal`: types and operations inside. `bare`: steps of no module's own.
 * `within`: what was unfolded around it, the outermost first.
 * @typedef {{ key: string, kind: "input" | "step" | "block" | "repeat" | "fault", value: number, steps: [number, number], label: string, title: string,
 *   count: number, rank: number, lane: number, folded: boolean, parts: Card[], depth: number, bare: boolean, equal: string, within: { key: string, label: string }[] }} Card
 * @typedef {{ from: string, to: string, skip: boolean, through: number[] }} Link `skip`: over a card of its lane; `through`: plumbing
 * @typedef {{ cards: Card[], links: Link[], ranks: number, lanes: number, homes: Map<number, string>, aside: number }} Plan
 *   `homes`: the card that stands for a value; `aside`: how many cards are left out
 */

const MOST = 150, ROW = 24, RUN = 8, LANES = 4; // cards; parts of a module; steps of its own between its modules; lanes unless asked for

/** @param {Pick<Card, "key" | "kind" | "value" | "label" | "title"> & Partial<Card>} given @returns {Card} */
const card = (given) => ({ steps: [0, 0], parts: [], equal: "", count: 1, rank: 0, lane: 0, depth: 0, bare: false, within: [], ...given, folded: !!given.parts });

/** Return one card that holds some. @param {Card[]} parts @param {Partial<Card>} [more] */
function joined(parts, more) {
  const first = parts[0].steps[0], { value, steps: [, end] } = parts[parts.length - 1];
  return card({ key: `${first}…${end - 1}`, kind: "block", value, steps: [first, end], parts, label: `${parts[0].label.replace(/ …$/, "")} …`,
    title: `${end - first} steps`, bare: parts.every(({ bare }) => bare), equal: `(${parts.map(({ equal }) => equal)})`, ...more });
}

/** Return cards with equal neighbours as one, and too long a row in pieces. @param {Card[]} cards @returns {Card[]} */
function shortened(cards) {
  /** @type {Card[][]} */
  const runs = [];
  for (const each of cards) {
    const run = runs[runs.length - 1];
    if (run && each.kind === "block" && run[0].equal === each.equal) run.push(each);
    else runs.push([each]);
  }
  const found = runs.map((run) => (run.length < 2 ? run[0] : joined(run, { key: `${run[0].key}×${run.length}`, kind: "repeat", count: run.length,
    label: `${run[0].label} – ${run[run.length - 1].label}`, title: run[0].title })));
  if (found.length <= ROW) return found;
  const each = Math.ceil(Math.sqrt(found.length));
  return Array.from({ length: Math.ceil(found.length / each) }, (_, i) => joined(shortened(found.slice(i * each, (i + 1) * each))));
}

/** Return the outermost cards: modules, and steps between them. @param {Network} net */
function outermost({ steps, calls, values }) {
  /** @param {number} from @param {number} to */
  const own = (from, to) => steps.slice(from, to).filter(({ plumbing, outputs }) => !plumbing && outputs.length).map(({ index, outputs, name, op }) =>
    card({ key: `${index}`, kind: "step", value: outputs[0], steps: [index, index + 1], label: name, title: op, equal: op, bare: true }));
  const inner = Array.from({ length: calls.length + 1 }, () => /** @type {number[]} */ ([]));
  calls.forEach(({ parent }, i) => inner[parent + 1].push(i));
  /** @param {number} parent @param {number} at @param {number} end @returns {Card[]} */
  const inside = (parent, at, end) => {
    /** @type {Card[]} */
    const found = [], within = inner[parent + 1];
    const add = (/** @type {Card[]} */ run) => found.push(...(within.length && run.length > RUN ? [joined(shortened(run))] : run));
    for (const i of within) {
      const { label, type, first, last, outputs } = calls[i], parts = inside(i, first, last);
      add(own(at, first));
      at = last;
      if (parts.length < 2) found.push(...parts.map((only) => (only.kind === "step" && only.bare ? { ...only, title: type, bare: false } : only)));
      else {
        const value = outputs.find((id) => (values.get(id)?.step ?? -1) >= first) ?? parts[parts.length - 1].value;
        found.push(joined(parts, { key: label, label, title: type, value, equal: `${type} ${values.get(value)?.shape[1]}(${parts.map(({ equal }) => equal)})` }));
      }
    }
    add(own(at, end));
    return shortened(found);
  };
  const all = inside(-1, 0, steps.length);
  return all.length === 1 && all[0].folded ? all[0].parts : all;
}

/** Return cards, in the order they ran, with their places and links. @param {Network} net @param {Card[]} cards */
function linked({ steps, values }, cards) {
  /** @typedef {Map<string, number[]>} Sources the cards that a value comes from, with the plumbing on the way @type {Map<number, Sources>} */
  const sources = new Map(), links = /** @type {Map<string, Link>} */ (new Map()), homes = /** @type {Map<number, string>} */ (new Map());
  const inputs = [...values].filter(([, { kind }]) => kind === "input").map(([id, { name }]) => card({ key: `input ${id}`, kind: "input", value: id, label: name, title: "" }));
  for (const { key, value } of inputs) sources.set(value, new Map([[key, []]]));
  const owners = /** @type {Card[]} */ ([]), own = new Map(cards.map(({ key }) => [key, new Map([[key, /** @type {number[]} */ ([])]])]));
  for (const each of cards) for (let step = each.steps[0]; step < each.steps[1]; step++) owners[step] = each;
  for (const { index, x, outputs } of steps) {
    const to = owners[index]?.key, here = own.get(to) ?? new Map();
    for (const id of x) for (const [from, through] of sources.get(id) ?? []) {
      if (!to) here.set(from, [...through, index]);
      else if (from !== to && !links.has(`${from}>${to}`)) links.set(`${from}>${to}`, { from, to, skip: false, through });
    }
    for (const id of outputs) sources.set(id, here);
  }
  for (const [id, [first]] of sources) if (first) homes.set(id, first[0]);
  return laid([...inputs, ...cards], [...links.values()], homes, 0);
}

/** Return cards, each after those it comes from, with ranks and lanes. @param {Card[]} given @param {Link[]} links @param {Map<number, string>} homes @param {number} aside @returns {Plan} */
function laid(given, links, homes, aside) {
  const cards = given.map((each) => ({ ...each })), named = Object.fromEntries(cards.map((each) => [each.key, each])), taken = new Set();
  let rank = 0; // one that comes from none, such as anchors, stands where it ran
  for (const each of cards) {
    const before = links.flatMap(({ from, to }) => (to === each.key ? [named[from]] : []));
    rank = each.rank = before.length ? 1 + Math.max(...before.map(({ rank }) => rank)) : each.kind === "input" ? 0 : rank;
    each.lane = before.length ? Math.min(...before.map(({ lane }) => lane)) : 0;
    while (taken.has(`${rank},${each.lane}`)) each.lane++;
    taken.add(`${rank},${each.lane}`);
  }
  const over = links.map((link) => {
    const { lane, rank } = named[link.from], to = named[link.to];
    return { ...link, skip: lane === to.lane && cards.some((each) => each.lane === lane && each.rank > rank && each.rank < to.rank) };
  });
  const [ranks, lanes] = [cards.map(({ rank }) => rank + 1), cards.map(({ lane }) => lane + 1)].map((all) => Math.max(0, ...all));
  return { cards, links: over, ranks, lanes, homes, aside };
}

/** Return cards with those that `which` picks unfolded in place. @param {Card[]} cards @param {(card: Card) => boolean} which */
const unfolded = (cards, which) => cards.flatMap((each) => (which(each) ? each.parts.map((inner) => ({ ...inner, depth: each.depth + 1, within: [...each.within, { key: each.key, label: each.label }] })) : [each]));

/**
 * Lay out a network. Modules unfold, outer ones first and those of a type together, while the row is at most `most` cards wide; then
 * those in `open`, while there are at most 150 cards.
 * @param {Network} net @param {{ open?: Set<string>, most?: number }} [how]
 */
export function plan(net, { open = new Set(), most = ROW } = {}) {
  let cards = outermost(net);
  const refused = new Set([""]), kind = (/** @type {Card} */ { kind, bare, depth, title }) => (kind === "block" && !bare ? `${String(depth).padStart(3)} ${title}` : "");
  for (let next; (next = cards.map(kind).filter((each) => !refused.has(each)).sort()[0]);) {
    const more = unfolded(cards, (each) => kind(each) === next), { ranks, lanes } = linked(net, more);
    if (ranks <= most && lanes <= LANES) cards = more;
    else refused.add(next);
  }
  const room = MOST - [...net.values.values()].filter(({ kind }) => kind === "input").length;
  const fits = (/** @type {Card} */ { folded, key, parts }) => folded && open.has(key) && cards.length - 1 + parts.length <= room;
  for (let next; (next = cards.find(fits));) cards = unfolded(cards, (each) => each === next);
  return linked(net, cards);
}

/** Keep the cards of some values (the keys of `Fields.of`), ranks and lanes closed up. @param {Plan} whole @param {Map<number, unknown>} fields */
export function path({ cards, links, homes }, fields) {
  const keys = new Set([...fields.keys()].map((id) => homes.get(id))), kept = cards.filter(({ key }) => keys.has(key));
  return laid(kept, links.filter(({ from, to }) => keys.has(from) && keys.has(to)), homes, cards.length - kept.length);
}
