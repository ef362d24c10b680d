"""The command that shows one number: on the lab's page, or as a figure in a file."""

from __future__ import annotations

import os
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
        Parameter(help="Write the number as a figure: a .svg or .png file. Without it, the page."),
    ] = None,
    theme: Annotated[
        Literal["light", "dark"], Parameter(help="The colours of the figure.")
    ] = "light",
    opening: Opening = AS_IT_SAYS,
) -> None:
    """Show one number: its window, its kernel and its sum, on the page or in a file."""
    if (at is None) != (index is None) or (out is not None and at is None):
        raise ValueError(
            f"`at` (={at!r}) and `index` (={index!r}) must name the number together; give --at "
            "conv1 --index 0,5,6,4"
        )
    if out is None:
        _open_page(network, picture, at, index, opening)
        return
    form = Path(out).suffix.lower()
    if form not in (".svg", ".png"):
        raise ValueError(f"`out` (={out!r}) must end in .svg or .png; name such a file")
    from convlens.draw.figures import number_figure
    from convlens.files import write_whole
    from convlens.lens import explain

    recording = recorded_for(network, picture, opening)
    figure = number_figure(explain(recording, at or "", index_of(index or "")), theme=theme)
    write_whole(out, figure.svg() if form == ".svg" else figure.png())
    print(f"{out}: {figure.title}")


def _open_page(
    network: str, picture: str | None, at: str | None, index: str | None, opening: Opening
) -> None:
    """Open the page, at a number if there is one; see `convlens lab`."""
    from urllib.parse import quote

    from convlens.lab import serve

    place = (
        ""
        if at is None
        else f"at={quote(at, safe='')}&index={','.join(map(str, index_of(index or '')))}"
    )
    serve(partial(opened_for, network, opening), picture, place=place)
    sys.stdout.flush()
    os._exit(0)  # threads may still compute for a browser: do not wait for them
