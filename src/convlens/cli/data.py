"""The command that checks labelled data before it is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convlens.cli.options import Json
from convlens.cli.printing import error_stream, print_answer

if TYPE_CHECKING:
    from convlens.learn.data.checking import DataReport

__all__ = ["data"]


def data(
    what: Annotated[Literal["check"], Parameter(help="What to do: check it.")],
    path: Annotated[str, Parameter(help="A folder, or a file of labels.")],
    /,
    *,
    json: Json = False,
    sheet: Annotated[
        str | None, Parameter(help="Draw samples with their labels into this picture.")
    ] = None,
    kind: Annotated[
        str | None, Parameter(help="The task that the data is for, such as detection.")
    ] = None,
    format: Annotated[
        str | None, Parameter(help="The format, if several are there: folders, coco ...")
    ] = None,
) -> None:
    """Check labelled data: what it holds, and what is wrong with it."""
    if sheet is not None and Path(sheet).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"`sheet` (={sheet!r}) must end in .png or .jpg; name such a file")
    report = _checked(path, {"kind": kind, "format": format})
    if sheet is not None:
        _draw(report, sheet)
    print_answer(report, json)


def _checked(path: str, options: dict[str, Any]) -> DataReport:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from convlens.learn.data.checking import check_data

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_stream()) as bar:
        task = bar.add_task("", total=None)
        return check_data(
            path,
            **options,
            progress=lambda done, whole: bar.update(task, completed=done, total=whole),
        )


def _draw(report: DataReport, path: str) -> None:
    from convlens import draw
    from convlens.files import whole
    from convlens.learn.data.checking import picked

    samples = [sample for part in report.parts.values() for sample in picked(part, 24)]
    with whole(path) as file:
        draw.sheet(samples, report.classes).save(file)
