"""The command that shows one number: on the lab's page, or as a figure in a file."""

from __future__ import annotations

import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convlens.cli.looking import index_of, opened_for, recorded_for
from convlens.cli.options import AS_IT_SAYS, NetworkName, Opening, SourceName

__all__ = ["show"]


def show(
    network: NetworkName = "digits",
    picture: SourceName = None,
    /,
    *,
    at: Annotated[
        str | None,
        Parameter(help="A module's path, a name on the page, or @ and a step's number (@3)."),
    ] = None,
    index: Annotated[
        str | None, Parameter(help="The element of its output, such as 0,5,6,4.")
    ] = None,
    out: Annotated[
        str | None,
        Parameter(
            help="Write a figure (.svg, .png) or the page itself (.html); without it, open it."
        ),
    ] = None,
    theme: Annotated[
        Literal["light", "dark"], Parameter(help="The colours of the figure.")
    ] = "light",
    opening: Opening = AS_IT_SAYS,
) -> None:
    """Show one number: its window, its kernel and its sum, on the page or in a file."""
    drawn = out is not None and not out.lower().endswith(".html")
    if (at is None) != (index is None) or (drawn and at is None):
        raise ValueError(
            f"`at` (={at!r}) and `index` (={index!r}) must name the number together; give --at "
            "conv1 --index 0,5,6,4"
        )
    if out is None:
        _open_page(network, picture, at, index, opening)
        return
    form = Path(out).suffix.lower()
    if form == ".html":
        said = _write_page(out, network, picture, at, index, opening)
    elif form in (".svg", ".png"):
        said = _write_figure(out, network, picture, at, index, opening, theme)
    else:
        raise ValueError(f"`out` (={out!r}) must end in .svg, .png or .html; name such a file")
    print(f"{out}: {said}")


def _write_figure(
    out: str,
    network: str,
    picture: str | None,
    at: str | None,
    index: str | None,
    opening: Opening,
    theme: str,
) -> str:
    """Write the figure of a number, and return its title."""
    from convlens.draw.figures import number_figure
    from convlens.files import write_whole
    from convlens.lens import explain

    recording = recorded_for(network, picture, opening)
    figure = number_figure(explain(recording, at or "", index_of(index or "")), theme=theme)
    is_text = Path(out).suffix.lower() == ".svg"
    write_whole(out, figure.svg() if is_text else figure.png())
    return figure.title


def _write_page(
    out: str,
    network: str,
    picture: str | None,
    at: str | None,
    index: str | None,
    opening: Opening,
) -> str:
    """Write the page on a number as one file, and return what it is of."""
    from convlens.files import write_whole
    from convlens.lab.filing import page_file
    from convlens.lab.showing import lab_on, place_of

    lab = lab_on(opened_for(network, opening), picture)
    command = _command(network, picture, opening)
    if at is None:
        write_whole(out, page_file(lab, command=command))
        return network
    place = place_of(lab.recording, at, index_of(index or ""))
    value = lab.recording.values[lab.recording.made(at)[0]]
    pairs = zip(index_of(index or ""), value.shape, strict=True)
    number = value.id, tuple(i % n for i, n in pairs)
    write_whole(out, page_file(lab, place, number, command))
    return f"{network} at {at}, {index}"


def _command(network: str, picture: str | None, opening: Opening) -> str:
    """Return the command that opens the whole page on a network and a picture."""
    options = [f"--{name}={given}" for name, given in vars(opening).items() if given is not None]
    return shlex.join(["convlens", "lab", network, *([picture] if picture else []), *options])


def _open_page(
    network: str, picture: str | None, at: str | None, index: str | None, opening: Opening
) -> None:
    """Open the page, at a number if there is one; see `convlens lab`."""
    from urllib.parse import quote

    from convlens.lab import serve

    place = ""
    if at is not None:
        place = f"at={quote(at, safe='')}&index={','.join(map(str, index_of(index or '')))}"
    serve(partial(opened_for, network, opening), picture, place=place)
    sys.stdout.flush()
    os._exit(0)  # threads may still compute for a browser: do not wait for them
