"""A small compiler's worth of vectors: how a convolution is brought near the limit of a core.

Read in this order.

`machine`: a processor multiplies and adds a whole *vector* in an instruction, 16 numbers of 32 bits
on the widest. Two facts decide the rest: how many vector registers there are, and how much memory
lies close.

`words`: the words kernels are written in. They are Python to the reader, to mypy and to ruff.
`records`: the arguments of a kernel, which it reads by name. `shapes` has some that many share.
`flattening`: the text of a kernel, with the fields of its records made single numbers.
`translating`: the little of Python around them, into LLVM's instructions.
`emitting`: the instructions each word becomes.

`blocks`: the register blocks. A multiply-add has its result four cycles later, and a core starts
one or two a cycle, so at least eight must be under way that do not wait for each other; and a
number loaded must be used several times, since loads are no cheaper than multiply-adds. Both follow
from keeping a *block* of results in registers: m rows of v vectors take m + v loads for m * v
multiply-adds.
`filter_blocks`: those for filters, where several rows of one image share what is loaded.
`image_blocks`, `pool_blocks`: those for small kernels and windows, where to pack would cost more
than to compute: edges are masked. `outer_blocks`: those for the derivative to the weight.

`block_texts`: what the texts of several of them share.

`compiling`: text into machine code, once a machine, kept in the user's cache.
`launching`: that code over its tasks in several threads.
"""
