"""Write a measured run as one page of HTML that needs no other file, script or network."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.files import printed
from convlens.learn.measuring.accuracy import UNIT
from convlens.learn.measuring.charts import calibration, curve
from convlens.learn.measuring.confusions import confusion_table, largest_confusions
from convlens.learn.measuring.history import HistoryLine, number
from convlens.learn.measuring.measure import Judgement, deciding
from convlens.learn.measuring.thumbnails import MOST_BYTES, thumbnail
from convlens.learn.sentences import reason

__all__ = ["SMALL", "Measured", "curves", "lab_command", "report_page", "shown_text", "tiles"]

WORST, SAMPLE = 24, 12
"""How many mistakes and right answers a page shows."""

MOST_NAMED = 100
"""The most classes that are listed one by one: the best and the worst of them."""

SMALL = 96
"""Pictures of fewer pixels a side are enlarged without smoothing."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

Pictures = Callable[[str], Sequence[NDArray[np.uint8]]]


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of a run: see `Measure` for `values`, `state`, `by_class` and `notes`.

    `run`: its folder or network, as commands name it. `judgements`: of all samples. `history`: of
    its training, () if unknown.
    """

    run: str
    classes: Sequence[str]
    values: Mapping[str, float]
    judgements: Sequence[Judgement]
    state: Mapping[str, NDArray[Any]]
    by_class: Mapping[str, float]
    notes: Sequence[str] = ()
    history: Sequence[HistoryLine] = ()


def lab_command(run: str, key: str) -> str:
    r"""Return the command that opens a sample on the stage, quoted for a shell.

    >>> lab_command("runs/a", "it's.png"), lab_command("b", "two\nlines")
    ('convlens lab runs/a \'it\'"\'"\'s.png\'', "convlens lab b $'two\\x0alines'")
    """
    return f"convlens lab {_quoted(run)} {_quoted(key)}"


def report_page(
    measured: Measured,
    pictures: Pictures,
    *,
    command: Callable[[str, str], str] = lab_command,
    link: Callable[[str], str] | None = None,
) -> str:
    """Return the page: values, confusions, calibration, history, and the worst and right answers.

    `pictures(key)`: a sample as uint8 (h, w, 3), drawn as it shall be seen; of two, the first shows
    what was said and the second the truth. One that cannot be drawn is replaced by the reason.
    `command(run, key)`: what opens it on the stage. `link(key)`: the address of its file from the
    page on, by which a lab that serves the page opens it. The page has at most 3 MB; all text of
    the data is escaped.
    """
    sections = [
        _head(measured),
        tiles({name: number(value) for name, value in measured.values.items()}),
        _confusions(measured),
        _by_class(measured.by_class),
        _training(measured.history),
        *_answers(measured, pictures, command, link),
    ]
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    title = escape(printed(measured.run))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}: report</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(measured: Measured) -> str:
    judged = measured.judgements
    right = sum(judgement.right for judgement in judged)
    share = f" ({right / len(judged):.1%})" if judged else ""
    said = [f"{right:,} of {len(judged):,} answers are right{share}.", *measured.notes]
    lines = "".join(f"<p>{shown_text(line)}</p>" for line in said)
    return f"<h1>{shown_text(measured.run)}</h1>{lines}"


def tiles(values: Mapping[str, str]) -> str:
    """Return values with their names next to each other as HTML, the first in a frame."""
    rows = (
        f"<div><dt>{shown_text(name)}</dt><dd>{value}</dd></div>" for name, value in values.items()
    )
    return f'<dl class="values">{"".join(rows)}</dl>'


def _confusions(measured: Measured) -> str:
    """Return the matrix of confusions, the largest in words, and the calibration, where known."""
    state = measured.state
    if "confusion" not in state:
        return ""
    unit = "samples" if "bin_counts" in state else "pixels"
    said = largest_confusions(state["confusion"], measured.classes)
    rows = "".join(f"<li>{escape(line)}</li>" for line in said) or "<li>None.</li>"
    parts = [f"<div><h3>The largest, in {unit}</h3><ul>{rows}</ul></div>"]
    if "bin_counts" in state and state["bin_counts"].any():
        counts = state["bin_counts"]
        sure = state["bin_confidence"] * UNIT / np.maximum(counts, 1)
        diagram = calibration(counts, state["bin_right"], sure)
        parts.append(
            f"<div><h3>Accuracy by confidence</h3>{diagram}<p>Bars are the share of right answers, "
            "dots the mean confidence. A bar below its dot is too sure.</p></div>"
        )
    table = confusion_table(state["confusion"], measured.classes)
    matrix = f"<h3>Truth by answer, in {unit}</h3>{table}" if table else ""
    return f'<h2>Confusions</h2><div class="columns">{"".join(parts)}</div>{matrix}'


def _by_class(by_class: Mapping[str, float]) -> str:
    known = sorted(
        ((value, name) for name, value in by_class.items() if not math.isnan(value)),
        key=lambda pair: pair[0],
    )
    if not known:
        return ""
    half = MOST_NAMED // 2
    left = len(known) - MOST_NAMED
    shown = [*known[:half], *known[-half:]] if left > 0 else known
    rows = "".join(
        f'<tr><th scope="row">{shown_text(name)}</th><td class="number">{number(value)}</td>'
        f'<td><i style="--share:{100 * max(0.0, min(value, 1.0)):.1f}%"></i></td></tr>'
        for value, name in shown
    )
    note = f"<p>{left:,} between them are left out.</p>" if left > 0 else ""
    return f'<h2>By class, the worst first</h2><table class="classes">{rows}</table>{note}'


def _training(history: Sequence[HistoryLine]) -> str:
    """Return curves of the loss and of the measure that decides, by epoch."""
    name = deciding(history[-1].measures) if history else ""
    drawn = curves(history, ["loss", name])
    return f"<h2>Training</h2>{drawn}" if drawn else ""


def curves(history: Sequence[HistoryLine], names: Sequence[str]) -> str:
    """Return curves by epoch next to each other as HTML; "" while there are too few lines.

    `names`: of measures, or "loss" or "rate".
    """
    parts = []
    for name in names:
        points = [(line.epoch, _of_line(line, name)) for line in history]
        drawn = curve(points, "epoch", name)
        parts.append(f"<div><h3>{shown_text(name)}</h3>{drawn}</div>" if drawn else "")
    return f'<div class="columns">{"".join(parts)}</div>' if any(parts) else ""


def _of_line(line: HistoryLine, name: str) -> float:
    of_line = {"loss": line.loss, "rate": line.rate}
    return of_line[name] if name in of_line else line.measures.get(name, math.nan)


def _answers(
    measured: Measured,
    pictures: Pictures,
    command: Callable[[str, str], str],
    link: Callable[[str], str] | None,
) -> list[str]:
    wrong = [judgement for judgement in measured.judgements if not judgement.right]
    right = [judgement for judgement in measured.judgements if judgement.right]
    worst = sorted(wrong, key=lambda judgement: -judgement.badness)[:WORST]
    sample = [right[k * len(right) // SAMPLE] for k in range(SAMPLE)] if right else []
    sample = list({judgement.key: judgement for judgement in sample}.values())
    sections = []
    for title, shown in (("The worst mistakes", worst), ("Some right answers", sample)):
        figures = (
            _figure(judgement, pictures, command(measured.run, judgement.key), link)
            for judgement in shown
        )
        if shown:
            sections.append(f'<h2>{title}</h2><div class="grid">{"".join(figures)}</div>')
    return sections


def _figure(
    judgement: Judgement, pictures: Pictures, command: str, link: Callable[[str], str] | None
) -> str:
    key, image = shown_text(judgement.key), _images(judgement.key, pictures)
    if link is not None:
        begun = f'<a href="{escape(link(judgement.key))}">'
        key, image = f"{begun}{key}</a>", f"{begun}{image}</a>"
    return (
        f"<figure>{image}<figcaption>"
        f'<dl class="pair{"" if judgement.right else " bad"}"><dt>said</dt>'
        f"<dd>{shown_text(judgement.said)}</dd><dt>truth</dt><dd>{shown_text(judgement.truth)}</dd></dl>"
        f'<span class="key">{key}</span><code class="command">{shown_text(command)}</code>'
        "</figcaption></figure>"
    )


def _images(key: str, pictures: Pictures) -> str:
    """Return the pictures of a sample, two of them side by side."""
    try:
        drawn = pictures(key)
        sources = [thumbnail(pixels, MOST_BYTES // len(drawn)) for pixels in drawn]
    except (OSError, ValueError) as error:
        return f'<p class="missing">{shown_text(f"no picture: {reason(error)}")}</p>'
    kind = ' class="pixels"' if max(drawn[0].shape[:2]) < SMALL else ""
    if len(drawn) == 1:
        return f'<img{kind} src="{sources[0]}" alt="{shown_text(key)}">'
    both = "".join(
        f'<span><img{kind} src="{source}" alt="{shown_text(f"{word}: {key}")}">{word}</span>'
        for word, source in zip(("said", "truth"), sources, strict=True)
    )
    return f'<span class="both">{both}</span>'


def _quoted(text: str) -> str:
    if text.isprintable():
        return shlex.quote(text)
    escaped = (c if c.isprintable() and c not in "\\'" else _bytes(c) for c in text)
    return f"$'{''.join(escaped)}'"


def _bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def shown_text(text: str) -> str:
    """Return text of the data for HTML, with characters escaped that end or turn a line."""
    return escape(printed(text))
