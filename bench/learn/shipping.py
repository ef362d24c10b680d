"""Store what a training learned as weights that ship with convlens, and measure what is stored.

    convlens train shapes_clips --out run
    python -m bench.learn.shipping shapes_clips run

The weights of the last step are taken, not the best on the held-out samples: the measured
numbers are of samples that chose nothing. They are stored in half precision without --whole.
"""

from __future__ import annotations

import sys

from convlens.learn.measuring.measure import deciding
from convlens.learn.run_folder import RunFolder
from convlens.learn.training.validation import validate
from convlens.zoo.shipped import DATA
from convlens.zoo.weights.saving import halved, save_tensors


def ship(name: str, run: str, whole: bool = False) -> None:
    """Write the last weights of a run to the package's data, and print their measures."""
    weights = RunFolder.at(run).last_weights()
    path = DATA / f"{name}.safetensors"
    validation = validate(run, weights="last")
    before = validation.values
    name_of_best = deciding(before)
    facts = {"network": type(validation.opened.network).__name__}
    facts[name_of_best] = f"{before[name_of_best]:.6f}"
    save_tensors(weights if whole else halved(weights), path, facts)
    after = validate(run, weights=path).values
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    for measure, value in after.items():
        print(f"{measure:20} {value:.4f} as stored, {before[measure]:.4f} in float32")


if __name__ == "__main__":
    name, run = [word for word in sys.argv[1:] if word != "--whole"]
    ship(name, run, "--whole" in sys.argv)
