// The types of the questions and of their answers, as the lab's Python declares them (a test compares).

/** The network on the picture. `recording` is 0 where there is none; `failure` then says why. */
export interface NetworkAnswer {
  recording: number;
  name: string;
  failure: string;
  picture: number[] | null; // its rows and columns
  frames: number | null;
  picture_name: string;
  slots: string[]; // what each input was read from, where there are several
  seconds: number;
  task: string;
  random: boolean; // whether weights are drawn at random
  steps: StepRow[];
  calls: CallRow[];
  parameters: number;
  values: ValueRow[];
  inputs: number[];
  picture_value: number | null;
  output: number | null;
  door: Door | null; // where to begin
  scores: ClassScore[];
  categories: string[] | null; // names along the output's last axis
  detections: DetectionList | null;
  segments: SegmentList | null;
  doubts: string[]; // what the reader must know of the answer
  warnings: string[];
  error: string | null;
  fault: FaultRow | null;
}

/** One step. */
export interface StepRow {
  index: number;
  op: string;
  family: string;
  label: string; // its module
  type: string; // that module's, where no other lies in it
  name: string; // its first output's
  inputs: number[];
  outputs: number[];
  x: number[]; // the activations it reads
  weight: number | null;
  bias: number | null;
  windows: WindowRow[]; // one for each axis of places
  groups: number;
  reach: string; // "window", "same" or "all": which places a place is made of
  plumbing: boolean; // whether it only hands numbers on
  source: SourceLine | null;
  seconds: number;
  multiply_adds: number;
  weights: number; // how many numbers its parameters have
  note: string;
}

/** A window along one axis. */
export interface WindowRow {
  size: number;
  stride: number;
  dilation: number;
  before: number;
  after: number;
  transposed: boolean;
  inputs: number;
  outputs: number;
  adaptive: boolean;
}

/** One call of a module: the steps from first to before last. */
export interface CallRow {
  path: string;
  label: string;
  type: string;
  parent: number;
  first: number;
  last: number;
  outputs: number[];
}

/** The number at which the page opens. */
export interface Door {
  value: number;
  index: number[];
}

/** The call that failed. */
export interface FaultRow {
  step: number;
  op: string;
  label: string;
  message: string;
  sentence: string;
  source: SourceLine | null;
  operands: OperandRow[];
  chain: SizeRow[]; // the sizes that led there
}

/** What a failed call was given. */
export interface OperandRow {
  value: number;
  name: string;
  shape: number[];
}

/** A size on the way to a failed call. */
export interface SizeRow {
  step: number | null;
  value: number;
  name: string;
  shape: number[];
}

/** A value of the recording. */
export interface ValueRow {
  id: number;
  name: string;
  kind: string;
  shape: number[];
  dtype: string;
  step: number; // that made it, -1 if none did
  slot: number;
}

/** One class and its score. */
export interface ClassScore {
  index: number[];
  label: string;
  score: number;
  text: string; // the score as `predict` writes it
  share: number | null; // a part of 1
}

/** The detections of a picture, the best first. */
export interface DetectionList {
  scores: number; // the value that holds them all
  count: number;
  best: Detection[];
  maps: number; // how many masks each has
  walks: boolean;
  points: string[];
  limbs: [number, number, [number, number, number]][];
  candidates: Detection[]; // the best that scored less than `least`
  least: number; // the score from which the network reports
  proposals: number;
  sentence: string; // says that nothing was found
}

/** One detection, or a candidate that scored too little to be one. */
export interface Detection {
  number: number; // its place in the network's answer; candidates count on from there
  label: string;
  score: number;
  text: string;
  box: number[]; // x1, y1, x2, y2 in pixels of the picture
  colour: [number, number, number];
  points: [number, number, boolean][]; // x, y, and whether it is sure
}

/** The classes that won pixels, the largest share first. */
export interface SegmentList {
  value: number;
  size: number[]; // rows and columns
  count: number;
  classes: SegmentClass[];
}

/** A class that won pixels. */
export interface SegmentClass {
  label: number;
  name: string;
  share: number; // of the picture, 0 to 1
  colour: [number, number, number];
  background: boolean;
  index: number[]; // where it won with its largest score
}

/** One number: its explanation, or the refusal that says why it has none. */
export interface NumberAnswer {
  explanation: Explained | null;
  refusal: string;
  region: Lit | null;
  readers: ReadersAnswer;
  facts: FactsRow | null;
}

/** What a number feeds: lists have an entry for each term that has it in it, the largest products first. */
export interface ReadersAnswer {
  source: number[];
  position: number[];
  role: string[]; // "term", "weight" or "bias"
  rule: string[];
  value: number[];
  weight: number[];
  product: number[];
  count: number; // of all
  products: number; // the sum of all
  refusals: string[];
}

/** The way of a number through the network. */
export interface ReachAnswer {
  boxes: BoxRow[];
  refusal: string;
}

/** Where a number comes from in a value ("made"), or what it reaches there ("feeds"). */
export interface BoxRow {
  value: number;
  way: string;
  box: [number, number][];
  count: number;
  exact: boolean;
}

/** The numbers around one: of its map, and of all maps of its sample. */
export interface FactsRow {
  map: StatisticsRow;
  sample: StatisticsRow;
  number: number; // the map's
  maps: number;
  constant: number; // maps of which all numbers are equal
}

/** What is known of some numbers; the ends, mean and deviation are those of the finite ones. */
export interface StatisticsRow {
  count: number;
  low: number;
  high: number;
  mean: number;
  deviation: number;
  zeros: number;
  nans: number;
  infinite: number;
}

/** An explanation with its terms ranked: sums of groups + rest + bias = total. */
export interface Explained {
  groups: TermGroup[];
  rest: number;
  rest_count: number;
  value: number;
  index: number[];
  step: number | null;
  op: string | null;
  source: SourceLine | null;
  kind: string;
  rule: string;
  formula: string;
  note: string;
  call: string; // which call of its module, where that ran more than once
  recorded: number;
  total: number;
  bound: number;
  bias: number;
  bias_source: [number, number] | null;
  window: number[];
  count: number;
  products: number;
  group_count: number;
  standing: Standing | null;
}

/** One number and all that it is made with: float64 sums over the numbers of its seats give `total` within `bound`. */
export interface BenchAnswer {
  value: number;
  index: number[];
  step: number | null;
  family: string;
  recorded: number;
  total: number;
  bound: number;
  rule: string;
  formula: string;
  note: string; // why it is not shown as its step's family, if so
  refusal: string; // why it is not explained
  channel: number | null; // the input map shown
  channels: [number, number][]; // the input maps that add most, each with its sum
  seats: SeatRow[];
  numbers: Float32Array | Float64Array; // of all seats
  others: boolean; // whether input maps that are not shown add the rest
  detail: BenchDetail;
  explained: Explained | null;
}

/** A map on the bench; its numbers begin at `start`. */
export interface SeatRow {
  role: string;
  value: number | null;
  at: number[]; // its leading index in its value
  shape: number[];
  start: number;
}

/** Facts of a number's family. */
export interface BenchDetail {
  first?: number; // the first input map of the group
  divisor?: number; // of an average, at this place
  override?: number; // the divisor at every place
  counts_padding?: boolean;
  padded?: number[]; // length of each axis with its padding
  place?: boolean; // the number is the place of the largest
  sign?: string; // between two operands
  alpha?: number;
  beta?: number;
  column?: number; // of the factor, where the kernel is no row
  origin?: BenchOrigin; // the maps that were laid out as a row
  dim?: number;
  log?: boolean;
  negated?: boolean; // scores
  scalar?: number;
  negative_slope?: number;
  low?: number;
  high?: number;
  operand?: number; // which of the joined values
  offset?: number; // where that begins
  taps?: number[]; // of each axis
}

/** The maps that a row was. */
export interface BenchOrigin {
  value: number;
  shape: number[];
}

/** Terms shown together: one input channel's window, or one term. */
export interface TermGroup {
  first: number;
  channel: number | null;
  sum: number;
  source: number[];
  position: number[];
  value: number[];
  weight: number[];
  product: number[];
  weight_source: number[];
  weight_position: number[];
}

/** The line of the user's own code that called a step. */
export interface SourceLine {
  file: string;
  line: number;
  text: string;
}

/** How the score of a class stands among all scores at its pixel. */
export interface Standing {
  chosen: boolean;
  rank: number;
  count: number;
  name: string;
  winner: string;
  largest: number;
  index: number[];
}

/** The marked positions of a space. */
export interface Lit {
  space: number[]; // sizes of the axes
  box: [number, number][]; // first and one past the last position on each
  count: number;
  bits: Uint8Array; // the box's positions, eight to a byte
  warning: string; // what makes it an upper bound; empty where it is exact
}

/** A thumbnail of every activation: lists have an entry for each of the values. */
export interface AtlasAnswer {
  side: number; // of a thumbnail
  values: Int32Array;
  rows: Int32Array;
  columns: Int32Array;
  maps: Int32Array; // how many it has
  map: Int32Array; // the liveliest
  low: Float32Array; // the code 1
  high: Float32Array; // the code 255
  codes: Uint8Array;
  liveliest: Int32Array; // six maps a value, -1 where there are fewer
  stacks: Uint8Array; // six thumbnails a value
}

/** Kernels of output maps: in each a slice for each input map of its group. */
export interface KernelsAnswer {
  weight: number;
  first: number; // output map of the first kernel
  maps: number; // how many kernels there are: of all maps, or one
  outputs: number; // maps that a group makes
  channels: number;
  frames: number;
  rows: number;
  columns: number;
  numbers: Float32Array | Float64Array | null; // null for many
  codes: Uint8Array | null; // 0 where not finite, else 128 + 127 parts of the kernel's largest size
}

/** Several sheets, and the kernel of one map; null for one that is refused if asked alone. */
export interface SheetsAnswer {
  sheets: (SheetAnswer | null)[];
  kernels: KernelsAnswer | null;
}

/** A value's maps, a byte a number. */
export interface SheetAnswer {
  value: number;
  shape: number[];
  dtype: string;
  axes: string[];
  plane: number; // how many of the last axes are one map
  sliced: boolean; // whether the first axis is not on the sheet
  running: number | null; // the axis laid out side by side
  first: number;
  maps: number;
  rows: number;
  columns: number;
  largest: number;
  negative: boolean;
  low: Float32Array;
  high: Float32Array;
  codes: Uint8Array;
  exact: Float32Array | Float64Array | null; // the numbers themselves, null for a large sheet
}

/** A detection walked back, and the numbers of its stations' maps. */
export interface WalkAnswer {
  detection: number;
  stations: WalkStation[];
  numbers: Float32Array;
}

/** A place on the way from a detection back to the pixels. */
export interface WalkStation {
  name: string;
  text: string; // a sentence or two with its numbers
  brief: string; // what is written in its frame
  frame: string; // what its frame shows: "box", "score", "move", "map", "cells" or "pixels"
  value: number;
  index: number[];
  link: string; // "made of" or "chosen"
  box: number[] | null; // where it lies in the picture: x1, y1, x2, y2
  into: number[] | null; // the box that it was moved into
  cut: number[] | null; // the part of the picture to show
  map: WalkMap | null;
  chosen: WalkChoice | null;
}

/** The map that a number lies in, or the part of it that a frame shows; each pair is of rows and columns. */
export interface WalkMap {
  size: number[];
  first: number[]; // the first that is sent
  step: number[];
  shown: number[]; // how many are sent
  start: number;
  cells: number[][]; // the first that the frame is about, and one past the last
}

/** Why a box was chosen among others, and the number that says so. */
export interface WalkChoice {
  text: string;
  value: number;
  index: number[];
}

/** The class of every pixel. */
export interface SegmentsAnswer {
  codes: Uint8Array;
}

/** The scores of every class at one pixel, the best first. */
export interface PixelAnswer {
  value: number;
  scores: PixelScore[];
  sentence: string;
}

/** The score of a class at one pixel. */
export interface PixelScore {
  label: number;
  name: string;
  score: number;
  colour: [number, number, number];
  index: number[];
}

/** The picture as a PNG file. */
export interface PictureAnswer {
  png: Uint8Array;
}

/** The number of the recording that a new picture gave. */
export interface LookAnswer {
  recording: number;
}

/** The number of the changed recording, and the values with other numbers; `network` where sizes have changed. */
export interface ReplayAnswer {
  recording: number;
  scores: ClassScore[];
  touched: number[];
  network: NetworkAnswer | null;
}

/** A recording to compare with, in words. */
export interface BesideAnswer {
  recording: number;
  said: string;
}

/** How far two recordings are apart in one step. */
export interface DifferenceRow {
  step: number;
  value: number;
  largest: number;
  index: number[];
  bound: number | null;
}

/** Where two recordings differ; the first step beyond its rounding. */
export interface CompareAnswer {
  first: number | null;
  rows: DifferenceRow[];
  refusal: string;
}

/** A network that the page may open. */
export interface NetworkChoice {
  name: string;
  task: string;
  weights: string; // "shipped", "here", "random" or "own"
  megabytes: number;
}

/** What the page may open by name. */
export interface ChoicesAnswer {
  networks: NetworkChoice[];
  samples: string[];
  beside: string[];
}

/** The number of the recording that a choice gave. */
export interface OpenAnswer {
  recording: number;
}

/** Lines of Python that compute one number again and print what it is made of. */
export interface PythonAnswer {
  text: string;
  command: string;
}

/** Whether a run was under way. */
export interface CancelAnswer {
  cancelled: boolean;
}

/** The figure of a number as a file. */
export interface FigureAnswer {
  content: Uint8Array;
}

/** Every question: what it asks, and its answer. */
export interface QuestionTable {
  network: (asked: {}) => NetworkAnswer;
  number: (asked: { recording: number, value: number, index: number[] }) => NumberAnswer;
  reach: (asked: { recording: number, value: number, index: number[] }) => ReachAnswer;
  bench: (asked: { recording: number, value: number, index: number[], channel?: number, beside?: number }) => BenchAnswer;
  python: (asked: { recording: number, value: number, index: number[] }) => PythonAnswer;
  figure: (asked: { recording: number, value: number, index: number[], form?: string, dark?: boolean }) => FigureAnswer;
  atlas: (asked: { recording: number }) => AtlasAnswer;
  kernels: (asked: { recording: number, value: number, map: number }) => KernelsAnswer;
  sheets: (asked: { recording: number, values: number[], firsts: number[], made?: number, map?: number }) => SheetsAnswer;
  sheet: (asked: { recording: number, value: number, first?: number }) => SheetAnswer;
  walk: (asked: { recording: number, detection: number }) => WalkAnswer;
  mask: (asked: { recording: number, detection: number, map?: number }) => Lit;
  segments: (asked: { recording: number }) => SegmentsAnswer;
  pixel: (asked: { recording: number, row: number, column: number }) => PixelAnswer;
  picture: (asked: { recording: number }) => PictureAnswer;
  replay: (asked: { recording: number, changes: string }) => ReplayAnswer;
  beside: (asked: { recording: number, name: string }) => BesideAnswer;
  compare: (asked: { recording: number, other: number }) => CompareAnswer;
  choices: (asked: {}) => ChoicesAnswer;
  open: (asked: { name: string }) => OpenAnswer;
  sample: (asked: { name: string, slot?: number }) => OpenAnswer;
  cancel: (asked: {}) => CancelAnswer;
}

/** A network before its first answer. */
export const NO_NETWORK: NetworkAnswer;
