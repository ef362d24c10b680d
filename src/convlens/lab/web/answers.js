// The types of the questions and of their answers, as the lab's Python declares them (a test compares).

/**
 * The network on the picture. `recording` is 0 where there is none; `failure` then says why.
 * @typedef {object} NetworkAnswer
 * @property {number} recording
 * @property {string} name
 * @property {string} failure
 * @property {number[] | null} picture its rows and columns
 * @property {number | null} frames
 * @property {string} picture_name
 * @property {number} seconds
 * @property {string} task
 * @property {boolean} random whether weights are drawn at random
 * @property {StepRow[]} steps
 * @property {CallRow[]} calls
 * @property {number} parameters
 * @property {ValueRow[]} values
 * @property {number[]} inputs
 * @property {number | null} picture_value
 * @property {number | null} output
 * @property {Door | null} door where to begin
 * @property {ClassScore[]} scores
 * @property {string[] | null} categories names along the output's last axis
 * @property {DetectionList | null} detections
 * @property {SegmentList | null} segments
 * @property {string[]} doubts what the reader must know of the answer
 * @property {string[]} warnings
 * @property {string | null} error
 * @property {FaultRow | null} fault
 *
 * One step.
 * @typedef {object} StepRow
 * @property {number} index
 * @property {string} op
 * @property {string} family
 * @property {string} label its module
 * @property {string} type that module's, where no other lies in it
 * @property {string} name its first output's
 * @property {number[]} inputs
 * @property {number[]} outputs
 * @property {number[]} x the activations it reads
 * @property {number | null} weight
 * @property {number | null} bias
 * @property {WindowRow[]} windows one for each axis of places
 * @property {number} groups
 * @property {string} reach "window", "same" or "all": which places a place is made of
 * @property {boolean} plumbing whether it only hands numbers on
 * @property {SourceLine | null} source
 * @property {number} seconds
 * @property {number} multiply_adds
 * @property {number} weights how many numbers its parameters have
 * @property {string} note
 *
 * A window along one axis.
 * @typedef {object} WindowRow
 * @property {number} size
 * @property {number} stride
 * @property {number} dilation
 * @property {number} before
 * @property {number} after
 * @property {boolean} transposed
 * @property {number} inputs
 * @property {number} outputs
 * @property {boolean} adaptive
 *
 * One call of a module: the steps from first to before last.
 * @typedef {object} CallRow
 * @property {string} path
 * @property {string} label
 * @property {string} type
 * @property {number} parent
 * @property {number} first
 * @property {number} last
 * @property {number[]} outputs
 *
 * The number at which the page opens.
 * @typedef {object} Door
 * @property {number} value
 * @property {number[]} index
 *
 * The call that failed.
 * @typedef {object} FaultRow
 * @property {number} step
 * @property {string} op
 * @property {string} label
 * @property {string} message
 * @property {string} sentence
 * @property {SourceLine | null} source
 * @property {OperandRow[]} operands
 * @property {SizeRow[]} chain the sizes that led there
 *
 * What a failed call was given.
 * @typedef {object} OperandRow
 * @property {number} value
 * @property {string} name
 * @property {number[]} shape
 *
 * A size on the way to a failed call.
 * @typedef {object} SizeRow
 * @property {number | null} step
 * @property {number} value
 * @property {string} name
 * @property {number[]} shape
 *
 * A value of the recording.
 * @typedef {object} ValueRow
 * @property {number} id
 * @property {string} name
 * @property {string} kind
 * @property {number[]} shape
 * @property {string} dtype
 * @property {number} step that made it, -1 if none did
 * @property {number} slot
 *
 * One class and its score.
 * @typedef {object} ClassScore
 * @property {number[]} index
 * @property {string} label
 * @property {number} score
 * @property {string} text the score as `predict` writes it
 * @property {number | null} share a part of 1
 *
 * The detections of a picture, the best first.
 * @typedef {object} DetectionList
 * @property {number} scores the value that holds them all
 * @property {number} count
 * @property {Detection[]} best
 * @property {number} maps how many masks each has
 * @property {boolean} walks
 * @property {string[]} points
 * @property {[number, number, [number, number, number]][]} limbs
 * @property {Detection[]} candidates the best that scored less than `least`
 * @property {number} least the score from which the network reports
 * @property {number} proposals
 * @property {string} sentence says that nothing was found
 *
 * One detection, or a candidate that scored too little to be one.
 * @typedef {object} Detection
 * @property {number} number its place in the network's answer; candidates count on from there
 * @property {string} label
 * @property {number} score
 * @property {string} text
 * @property {number[]} box x1, y1, x2, y2 in pixels of the picture
 * @property {[number, number, number]} colour
 * @property {[number, number, boolean][]} points x, y, and whether it is sure
 *
 * The classes that won pixels, the largest share first.
 * @typedef {object} SegmentList
 * @property {number} value
 * @property {number[]} size rows and columns
 * @property {number} count
 * @property {SegmentClass[]} classes
 *
 * A class that won pixels.
 * @typedef {object} SegmentClass
 * @property {number} label
 * @property {string} name
 * @property {number} share of the picture, 0 to 1
 * @property {[number, number, number]} colour
 * @property {boolean} background
 * @property {number[]} index where it won with its largest score
 *
 * One number: its explanation, or the refusal that says why it has none.
 * @typedef {object} NumberAnswer
 * @property {Explained | null} explanation
 * @property {string} refusal
 * @property {Lit | null} region
 * @property {FactsRow | null} facts
 *
 * The numbers around one: of its map, and of all maps of its sample.
 * @typedef {object} FactsRow
 * @property {StatisticsRow} map
 * @property {StatisticsRow} sample
 * @property {number} number the map's
 * @property {number} maps
 * @property {number} constant maps of which all numbers are equal
 *
 * What is known of some numbers; the ends, mean and deviation are those of the finite ones.
 * @typedef {object} StatisticsRow
 * @property {number} count
 * @property {number} low
 * @property {number} high
 * @property {number} mean
 * @property {number} deviation
 * @property {number} zeros
 * @property {number} nans
 * @property {number} infinite
 *
 * An explanation with its terms ranked: sums of groups + rest + bias = total.
 * @typedef {object} Explained
 * @property {TermGroup[]} groups
 * @property {number} rest
 * @property {number} rest_count
 * @property {number} value
 * @property {number[]} index
 * @property {number | null} step
 * @property {string | null} op
 * @property {SourceLine | null} source
 * @property {string} kind
 * @property {string} rule
 * @property {string} formula
 * @property {string} note
 * @property {string} call which call of its module, where that ran more than once
 * @property {number} recorded
 * @property {number} total
 * @property {number} bound
 * @property {number} bias
 * @property {[number, number] | null} bias_source
 * @property {number[]} window
 * @property {number} count
 * @property {number} products
 * @property {number} group_count
 * @property {Standing | null} standing
 *
 * One number and all that it is made with: float64 sums over the numbers of its seats give `total` within `bound`.
 * @typedef {object} BenchAnswer
 * @property {number} value
 * @property {number[]} index
 * @property {number | null} step
 * @property {string} family
 * @property {number} recorded
 * @property {number} total
 * @property {number} bound
 * @property {string} rule
 * @property {string} formula
 * @property {string} note why it is not shown as its step's family, if so
 * @property {string} refusal why it is not explained
 * @property {number | null} channel the input map shown
 * @property {[number, number][]} channels the input maps that add most, each with its sum
 * @property {SeatRow[]} seats
 * @property {Float32Array | Float64Array} numbers of all seats
 * @property {boolean} others whether input maps that are not shown add the rest
 * @property {BenchDetail} detail
 * @property {Explained | null} explained
 *
 * A map on the bench; its numbers begin at `start`.
 * @typedef {object} SeatRow
 * @property {string} role
 * @property {number | null} value
 * @property {number[]} at its leading index in its value
 * @property {number[]} shape
 * @property {number} start
 *
 * Facts of a number's family.
 * @typedef {object} BenchDetail
 * @property {number} [first] the first input map of the group
 * @property {number} [divisor] of an average, at this place
 * @property {number} [override] the divisor at every place
 * @property {boolean} [counts_padding]
 * @property {number[]} [padded] length of each axis with its padding
 * @property {boolean} [place] the number is the place of the largest
 * @property {string} [sign] between two operands
 * @property {number} [alpha]
 * @property {number} [beta]
 * @property {number} [column] of the factor, where the kernel is no row
 * @property {BenchOrigin} [origin] the maps that were laid out as a row
 * @property {number} [dim]
 * @property {boolean} [log]
 * @property {boolean} [negated] scores
 * @property {number} [scalar]
 * @property {number} [negative_slope]
 * @property {number} [low]
 * @property {number} [high]
 * @property {number} [operand] which of the joined values
 * @property {number} [offset] where that begins
 * @property {number[]} [taps] of each axis
 *
 * The maps that a row was.
 * @typedef {object} BenchOrigin
 * @property {number} value
 * @property {number[]} shape
 *
 * Terms shown together: one input channel's window, or one term.
 * @typedef {object} TermGroup
 * @property {number} first
 * @property {number | null} channel
 * @property {number} sum
 * @property {number[]} source
 * @property {number[]} position
 * @property {number[]} value
 * @property {number[]} weight
 * @property {number[]} product
 * @property {number[]} weight_source
 * @property {number[]} weight_position
 *
 * The line of the user's own code that called a step.
 * @typedef {object} SourceLine
 * @property {string} file
 * @property {number} line
 * @property {string} text
 *
 * How the score of a class stands among all scores at its pixel.
 * @typedef {object} Standing
 * @property {boolean} chosen
 * @property {number} rank
 * @property {number} count
 * @property {string} name
 * @property {string} winner
 * @property {number} largest
 * @property {number[]} index
 *
 * The marked positions of a space.
 * @typedef {object} Lit
 * @property {number[]} space sizes of the axes
 * @property {[number, number][]} box first and one past the last position on each
 * @property {number} count
 * @property {Uint8Array} bits the box's positions, eight to a byte
 * @property {string} warning what makes it an upper bound; empty where it is exact
 *
 * A thumbnail of every activation: lists have an entry for each of the values.
 * @typedef {object} AtlasAnswer
 * @property {number} side of a thumbnail
 * @property {Int32Array} values
 * @property {Int32Array} rows
 * @property {Int32Array} columns
 * @property {Int32Array} maps how many it has
 * @property {Int32Array} map the liveliest
 * @property {Float32Array} low the code 1
 * @property {Float32Array} high the code 255
 * @property {Uint8Array} codes
 * @property {Int32Array} liveliest six maps a value, -1 where there are fewer
 * @property {Uint8Array} stacks six thumbnails a value
 *
 * The kernel of one map: a slice for each input map.
 * @typedef {object} KernelsAnswer
 * @property {number} weight
 * @property {number} channels
 * @property {number} first_channel
 * @property {number} frames
 * @property {number} rows
 * @property {number} columns
 * @property {number} largest
 * @property {Float32Array | Float64Array} numbers
 *
 * A value's maps, a byte a number.
 * @typedef {object} SheetAnswer
 * @property {number} value
 * @property {number[]} shape
 * @property {string} dtype
 * @property {string[]} axes
 * @property {number} plane how many of the last axes are one map
 * @property {boolean} sliced whether the first axis is not on the sheet
 * @property {number | null} running the axis laid out side by side
 * @property {number} first
 * @property {number} maps
 * @property {number} rows
 * @property {number} columns
 * @property {number} largest
 * @property {boolean} negative
 * @property {Float32Array} low
 * @property {Float32Array} high
 * @property {Uint8Array} codes
 * @property {Float32Array | Float64Array | null} exact the numbers themselves, null for a large sheet
 *
 * Further terms of a number.
 * @typedef {object} TermsAnswer
 * @property {TermGroup[]} groups
 * @property {number} rest
 * @property {number} rest_count
 *
 * The numbers of one map.
 * @typedef {object} NumbersAnswer
 * @property {Float64Array} numbers
 *
 * The largest number that the network computed.
 * @typedef {object} ScaleAnswer
 * @property {number} largest
 *
 * A detection walked back, and the numbers of its stations' maps.
 * @typedef {object} WalkAnswer
 * @property {number} detection
 * @property {WalkStation[]} stations
 * @property {Float32Array} numbers
 *
 * A place on the way from a detection back to the pixels.
 * @typedef {object} WalkStation
 * @property {string} name
 * @property {string} text a sentence or two with its numbers
 * @property {string} brief what is written in its frame
 * @property {string} frame what its frame shows: "box", "score", "move", "map", "cells" or "pixels"
 * @property {number} value
 * @property {number[]} index
 * @property {string} link "made of" or "chosen"
 * @property {number[] | null} box where it lies in the picture: x1, y1, x2, y2
 * @property {number[] | null} into the box that it was moved into
 * @property {number[] | null} cut the part of the picture to show
 * @property {WalkMap | null} map
 * @property {WalkChoice | null} chosen
 *
 * The map that a number lies in, or the part of it that a frame shows; each pair is of rows and columns.
 * @typedef {object} WalkMap
 * @property {number[]} size
 * @property {number[]} first the first that is sent
 * @property {number[]} step
 * @property {number[]} shown how many are sent
 * @property {number} start
 * @property {number[][]} cells the first that the frame is about, and one past the last
 *
 * Why a box was chosen among others, and the number that says so.
 * @typedef {object} WalkChoice
 * @property {string} text
 * @property {number} value
 * @property {number[]} index
 *
 * The class of every pixel.
 * @typedef {object} SegmentsAnswer
 * @property {Uint8Array} codes
 *
 * The scores of every class at one pixel, the best first.
 * @typedef {object} PixelAnswer
 * @property {number} value
 * @property {PixelScore[]} scores
 * @property {string} sentence
 *
 * The score of a class at one pixel.
 * @typedef {object} PixelScore
 * @property {number} label
 * @property {string} name
 * @property {number} score
 * @property {[number, number, number]} colour
 * @property {number[]} index
 *
 * The picture as a PNG file.
 * @typedef {object} PictureAnswer
 * @property {Uint8Array} png
 *
 * The number of the recording that a new picture gave.
 * @typedef {object} LookAnswer
 * @property {number} recording
 *
 * The number of the changed recording; `network` where sizes have changed.
 * @typedef {object} ReplayAnswer
 * @property {number} recording
 * @property {ClassScore[]} scores
 * @property {NetworkAnswer | null} network
 *
 * A recording to compare with, in words.
 * @typedef {object} BesideAnswer
 * @property {number} recording
 * @property {string} said
 *
 * How far two recordings are apart in one step.
 * @typedef {object} DifferenceRow
 * @property {number} step
 * @property {number} value
 * @property {number} largest
 * @property {number[]} index
 * @property {number | null} bound
 *
 * Where two recordings differ; the first step beyond its rounding.
 * @typedef {object} CompareAnswer
 * @property {number | null} first
 * @property {DifferenceRow[]} rows
 * @property {string} refusal
 *
 * A network that the page may open.
 * @typedef {object} NetworkChoice
 * @property {string} name
 * @property {string} task
 * @property {string} weights "shipped", "here", "random" or "own"
 * @property {number} megabytes
 *
 * What the page may open by name.
 * @typedef {object} ChoicesAnswer
 * @property {NetworkChoice[]} networks
 * @property {string[]} samples
 *
 * The number of the recording that a choice gave.
 * @typedef {object} OpenAnswer
 * @property {number} recording
 *
 * Lines of Python that compute one number again and print what it is made of.
 * @typedef {object} PythonAnswer
 * @property {string} text
 *
 * Whether a run was under way.
 * @typedef {object} CancelAnswer
 * @property {boolean} cancelled
 *
 * The figure of a number as a file.
 * @typedef {object} FigureAnswer
 * @property {Uint8Array} content
 *
 * Every question: what it asks, and its answer.
 * @typedef {object} QuestionTable
 * @property {(asked: {}) => NetworkAnswer} network
 * @property {(asked: { recording: number, value: number, index: number[] }) => NumberAnswer} number
 * @property {(asked: { recording: number, value: number, index: number[], channel?: number, beside?: number }) => BenchAnswer} bench
 * @property {(asked: { recording: number, value: number, index: number[] }) => PythonAnswer} python
 * @property {(asked: { recording: number, value: number, index: number[], form?: string, dark?: boolean }) => FigureAnswer} figure
 * @property {(asked: { recording: number, value: number, index: number[], start: number }) => TermsAnswer} terms
 * @property {(asked: { recording: number }) => AtlasAnswer} atlas
 * @property {(asked: { recording: number, value: number, map: number }) => KernelsAnswer} kernels
 * @property {(asked: { recording: number, value: number, first?: number }) => SheetAnswer} sheet
 * @property {(asked: { recording: number, value: number, first?: number, map?: number }) => NumbersAnswer} numbers
 * @property {(asked: { recording: number }) => ScaleAnswer} scale
 * @property {(asked: { recording: number, detection: number }) => WalkAnswer} walk
 * @property {(asked: { recording: number, detection: number, map?: number }) => Lit} mask
 * @property {(asked: { recording: number }) => SegmentsAnswer} segments
 * @property {(asked: { recording: number, row: number, column: number }) => PixelAnswer} pixel
 * @property {(asked: { recording: number }) => PictureAnswer} picture
 * @property {(asked: { recording: number, changes: string }) => ReplayAnswer} replay
 * @property {(asked: { recording: number, name: string }) => BesideAnswer} beside
 * @property {(asked: { recording: number, other: number }) => CompareAnswer} compare
 * @property {(asked: {}) => ChoicesAnswer} choices
 * @property {(asked: { name: string }) => OpenAnswer} open
 * @property {(asked: { name: string }) => OpenAnswer} sample
 * @property {(asked: {}) => CancelAnswer} cancel
 */

/** A network before its first answer. @type {NetworkAnswer} */
export const NO_NETWORK = {
  recording: 0, name: "", failure: "", picture: null, frames: null, picture_name: "", seconds: 0,
  task: "", random: false, steps: [], calls: [], parameters: 0, values: [], inputs: [], picture_value: null,
  output: null, door: null, scores: [],
  categories: null, detections: null, segments: null, doubts: [], warnings: [], error: null, fault: null,
};
