"""Bring convolutions near the limit of a core, with a small compiler for vector kernels.

Read the files in this order.

`machine`: a processor multiplies and adds a whole *vector* in one instruction, up to 16 numbers of
32 bits. The number of vector registers and the size of the caches determine the rest.

`language/words`: the words that kernels are written in, plain Python to mypy and ruff.
`records`: the arguments of a kernel, which it reads by name; `shapes` holds shared ones.
`language/flattening`: turns the fields of records into single numbers in a kernel's source.
`language/translating`: translates the Python around the words into LLVM instructions.
`language/emitting`: defines the instructions of each word.

`blocks`: the register blocks. A multiply-add takes four cycles, and a core starts one or two per
cycle, so at least eight independent ones must be in flight. A load costs as much as a multiply-add,
so each loaded number must be used several times. A *block* of results in registers achieves both: m
rows of v vectors need m + v loads for m * v multiply-adds.
`blocks/filters`: blocks for filters, where several rows of one image share what is loaded.
`blocks/images`, `blocks/pools`: blocks for small kernels and windows, for which packing would cost
more than computing; they mask the edges. `blocks/outer`: blocks for the derivative to the weight.
`blocks/texts`: the source that several blocks share.

`rows`: copies, packs and combines rows of numbers.
`transforms`: convolves tiles by Fourier transforms, and bounds the errors.

`language/compiling`: compiles a kernel once per machine and keeps it in the user's cache.
`launching`: runs the compiled code over its tasks in several threads.
"""
