// The words of the page, each with its meaning in a line.

export const GLOSSARY = `
window: the inputs that one output reads
kernel: the weights that are laid on a window
weight: one number of a kernel; training finds it
bias: a number added at the end
product: an input times its weight
convolution: a kernel that slides, with a sum at each place
map: what one kernel makes of a whole picture
channel: another word for map, or for red, green and blue
step: one operation of the network
stride: how far the window moves at a time
padding: what is assumed beyond the edge
dilation: gaps between the weights of a kernel
pooling: keeping the largest number of a window, or the mean
transposed: spreading each input over a window
depthwise: each map has a kernel of its own
group: maps that share kernels among themselves
pointwise: each number for itself
ReLU: negative numbers become 0
normalisation: shifting and scaling numbers to a common spread
skip: a link past some steps, added later
linear: every input times a weight of its own, added up
score: a class’s number before softmax
softmax: turns scores into shares of 1
field: the pixels that a number depends on
bound: how far rounding may move a sum`.trim().split("\n").map((line) => /** @type {[string, string]} */ (line.split(": ")));
