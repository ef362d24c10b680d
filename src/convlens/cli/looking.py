"""Commands that look into a network: the lab, its steps, one number, its costs."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from convlens.cli.options import AS_IT_SAYS, Json, NetworkName, Opening, SourceName, SourceNames
from convlens.cli.printing import print_answer, print_json, print_remark

if TYPE_CHECKING:
    from convlens.lab.following import FollowedRun
    from convlens.learn.opening import Opened
    from convlens.lens import Explanation, Recording

__all__ = ["costs", "explain", "lab", "record"]


def lab(
    network: NetworkName = "digits",
    /,
    *picture: SourceNames,
    port: Annotated[int, Parameter(help="Port on 127.0.0.1; 0 takes any free one.")] = 0,
    open_browser: Annotated[bool, Parameter(name="--open", help="Open the browser.")] = True,
    host: Annotated[
        str | None,
        Parameter(help="Another host name that browsers may use, such as a proxy's."),
    ] = None,
    beside: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="What the page may compare with, once for each: a file of weights, the name of "
            "released weights, or another network.",
        ),
    ] = (),
    opening: Opening = AS_IT_SAYS,
) -> None:
    """Open a network on a picture in the browser, where every number can be clicked."""
    from convlens.lab import serve

    run = _run_of(network, opening)
    opened = run.open if run else partial(opened_for, network, opening)
    source = picture if len(picture) > 1 else picture[0] if picture else None
    serve(opened, source, port=port, open_browser=open_browser, host=host, beside=beside, run=run)
    # Threads may still compute for a browser: do not wait for them.
    sys.stdout.flush()
    os._exit(0)


def record(
    network: NetworkName,
    picture: SourceName = None,
    /,
    *,
    opening: Opening = AS_IT_SAYS,
    json: Json = False,
) -> None:
    """Print every step a network takes on a picture, with its shapes and times."""
    recording = recorded_for(network, picture, opening)
    print_answer(recording, json)
    if recording.error:
        raise SystemExit(1)


def explain(
    network: NetworkName,
    picture: SourceName = None,
    /,
    *,
    at: Annotated[
        str | None,
        Parameter(
            help="A module's path (layer1.conv, or layer1.conv#2 for its second call), "
            "a name on the lab's page, or @ and a step's number (@3)."
        ),
    ] = None,
    index: Annotated[
        str | None, Parameter(help="The element of its output, such as 0,3,5,5.")
    ] = None,
    detection: Annotated[
        int | None,
        Parameter(help="Instead: walk the detection of this number, from 0, back to the pixels."),
    ] = None,
    opening: Opening = AS_IT_SAYS,
    terms: Annotated[int, Parameter(help="List this many terms with --json; 0 for all.")] = 0,
    json: Json = False,
) -> None:
    """Print what one number of a network is made of: its terms, their sum, its pixels."""
    from convlens.lens import explain as explain_element

    if (at is None) != (index is None) or (at is None) == (detection is None):
        raise ValueError(
            f"`at` (={at!r}) and `index` (={index!r}), or `detection` (={detection}) alone, must "
            "say what to explain; give --at conv1 --index 0,3,5,5, or --detection 0"
        )
    place = index_of(index or "")
    recording = recorded_for(network, picture, opening)
    if detection is not None:
        from convlens.learn.tracing import trace

        print_answer(trace(recording, detection), json)
        return
    _print_explanation(explain_element(recording, at or "", place), terms, json)


def costs(
    network: NetworkName,
    picture: SourceName = None,
    /,
    *,
    opening: Opening = AS_IT_SAYS,
    json: Json = False,
) -> None:
    """Print what a network costs: parameters and multiply-adds, step by step."""
    from convlens.lens import costs_of

    recording = recorded_for(network, picture, opening)
    if recording.error:
        raise ValueError(f"the network stopped at {recording.error.message}")
    print_answer(costs_of(recording), json)


def _print_explanation(explanation: Explanation, terms: int, json: bool) -> None:
    region = explanation.pixels()
    box = [[span.start, span.stop] for span in region.box]
    if json:
        pixels = {"input": region.value.name, "count": region.count, "box": box}
        pixels |= {"upper_bound": region.upper_bound, "warning": region.warning}
        print_json({**explanation.to_dict(terms or None), "pixels": pixels})
        return
    print(explanation)
    spans = " × ".join(f"{low}:{high}" for low, high in box)
    most = "at most " if region.upper_bound else ""
    print(f"  made from {most}{region.count:,} elements of {region.value.name}, within {spans}")
    if region.warning:
        print(f"  {region.warning}")


def index_of(text: str) -> tuple[int, ...]:
    """Return an index as it is written in an option: integers with commas between them."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(
            f"`index` (={text}) must be integers with commas between them; write it like 0,3,5,5"
        ) from None


def opened_for(network: str, opening: Opening) -> Opened:
    """Return the network that a command names, with its options."""
    from convlens.learn.opening import open_network

    return open_network(
        network,
        weights=opening.weights,
        size=opening.size,
        crop=opening.crop,
        normalize=opening.normalize,
    )


def _run_of(network: str, opening: Opening) -> FollowedRun | None:
    """Return the training in a folder of that name, if there is one.

    While it trains, its newest checkpoint is opened, unless other weights are asked for.
    """
    from convlens.lab.following import FollowedRun
    from convlens.learn.locking import in_use
    from convlens.learn.run_folder import RunFolder

    folder = RunFolder.at(network)
    if not folder.is_run():
        return None
    if opening.weights is None and in_use(folder.path):
        opening = replace(opening, weights="last")
    newest = opening.weights == "last"
    return FollowedRun(folder, partial(opened_for, network, opening), newest=newest)


def recorded_for(network: str, picture: str | None, opening: Opening) -> Recording:
    """Return the recording of a command's network on its picture, with remarks on both."""
    from convlens.learn.predicting.reliability import doubts
    from convlens.learn.reading_inputs import read_inputs, remark
    from convlens.lens import record as record_network

    opened = opened_for(network, opening)
    source: str | Path | None = picture if picture is not None else opened.example
    if source is None:
        raise ValueError(f"`picture` is needed: {network} has no example of its own; name a file")
    inputs, _ = read_inputs(opened, source)
    said = remark(opened, source)
    if said is not None:
        print_remark(f"{source}: {said}")
    for doubt in doubts(opened.network):
        print_remark(f"{network}: {doubt}")
    return record_network(opened.network, inputs)
