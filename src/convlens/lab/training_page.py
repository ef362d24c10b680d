"""Write the page of a training: its curves, its layers, and what is wrong in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, urlencode

from convlens.lab.following import FollowedRun
from convlens.learn.locking import in_use
from convlens.learn.measuring.history import HistoryLine, clock, number, read_history
from convlens.learn.measuring.layers import (
    DEAD,
    EXPLODING,
    UPDATE,
    VANISHING,
    LayerNumbers,
    LayersLine,
    UnitCount,
    faults,
    median_gradient,
    read_layers,
)
from convlens.learn.measuring.measure import deciding
from convlens.learn.measuring.report import SMALL, curves, shown_text, tiles
from convlens.learn.run_folder import RunFacts

__all__ = ["page_of", "style"]

EVERY = 5
"""After how many seconds the page loads again while the training runs."""

RULES = (
    f"A gradient is exploding above {EXPLODING:g} times the median of the layers, and vanishing "
    f"below {VANISHING:g} times it. An activation is dead if {100 * DEAD:.0f} % of its channels "
    "are 0 for all held-out samples. One step should change a layer by less than "
    f"{100 * UPDATE:.0f} %."
)


def style() -> str:
    """Return the style sheet of the page: the report's, and what the page adds."""
    report = files("convlens.learn.measuring") / "report.css"
    added = files("convlens.lab") / "training.css"
    return report.read_text(encoding="utf-8") + added.read_text(encoding="utf-8")


def page_of(run: FollowedRun, token: str) -> str:
    """Return the page of a training as it stands now; all text of the data is escaped.

    Raises ValueError if a file of the run cannot be read as what it is.
    """
    folder = run.folder
    facts, history = folder.facts(), read_history(folder.history)
    layers = read_layers(folder.layers, last=1)
    links = _Links(token)
    is_training = in_use(folder.path)
    names = list(dict.fromkeys(name for line in history for name in line.measures))
    drawn = curves(history, ["loss", *names, "rate"])
    sections = [
        _head(str(folder.path), facts, history, is_training),
        _tiles(history),
        _wrong(layers[-1], links) if layers else "",
        _stage(run, links),
        f"<h2>Curves</h2>{drawn}" if drawn else "<p>Curves begin with the second epoch.</p>",
        _tables(layers[-1], links) if layers else "",
    ]
    again = f'<meta http-equiv="refresh" content="{EVERY}">\n' if is_training else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'{again}<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown_text(str(folder.path))}: training</title>\n"
        '<link rel="icon" href="data:,">\n<link rel="stylesheet" href="/training.css">\n'
        "</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main>\n</body>\n</html>\n"
    )


class _Links:
    """The addresses that lead from the page to the stage, with the token that they need."""

    def __init__(self, token: str) -> None:
        self._token = token

    def to(self, path: str, **query: str) -> str:
        return escape(f"{path}?{urlencode({**query, 'token': self._token})}")

    @property
    def report(self) -> str:
        """Return the address of the report, whose links go on from it."""
        return escape(f"/report/{quote(self._token, safe='')}/")

    def layer(self, name: str) -> str:
        """Return the name of a layer, or of a call of one, as a link to its maps."""
        return f'<a href="{self.to("/training/stage", at=name)}">{shown_text(name)}</a>'


def _head(path: str, facts: RunFacts, history: Sequence[HistoryLine], is_training: bool) -> str:
    done = f"{history[-1].epoch:g} of {facts.recipe.epochs:,}" if history else "none yet"
    now = (
        f"It is training; this page loads again every {EVERY} s."
        if is_training
        else ("It is not training now.")
    )
    said = f"{facts.network or 'a module'} learns {facts.task} from {facts.data}. Epochs: {done}."
    return f"<h1>{shown_text(path)}</h1><p>{shown_text(said)} {now}</p>"


def _tiles(history: Sequence[HistoryLine]) -> str:
    if not history:
        return "<p>The first epoch is under way.</p>"
    last = history[-1]
    name = deciding(last.measures)
    found = {name: number(last.measures[name])} if name else {}
    if name:
        seen = [line.measures[name] for line in history if name in line.measures]
        best = max((value for value in seen if not math.isnan(value)), default=math.nan)
        found[f"best {name}"] = number(best)
    found |= {"loss": number(last.loss), "rate": f"{last.rate:.3g}", "time": clock(last.seconds)}
    return tiles(found)


def _wrong(line: LayersLine, links: _Links) -> str:
    """Return what is wrong in the layers, the worst first; each leads to its layer."""
    found = [
        f"<li>{links.layer(fault.layer)}{shown_text(fault.sentence.removeprefix(fault.layer))}</li>"
        for fault in faults(line)
    ]
    said = f'<ul class="faults">{"".join(found)}</ul>' if found else "<p>Nothing stands out.</p>"
    return f"<h2>What is wrong</h2>{said}<p>{RULES}</p>"


def _stage(run: FollowedRun, links: _Links) -> str:
    """Return the held-out pictures, each a link to the stage, and which weights that shows."""
    last = run.folder.last_step()
    if run.newest and last is not None:
        said = f"They open with the newest checkpoint, of step {last:,}."
    else:
        said = "They open with the weights that the lab was started with."
    figures = "".join(
        f'<a href="{links.to("/training/stage", sample=path.stem)}">{_seen(path, links)}</a>'
        for path in run.folder.examples()
    )
    whole = f'<a href="{links.to("/training/stage")}">the whole network</a>'
    if (run.folder.report / "index.html").is_file():
        said += f' <a href="{links.report}">The report</a> has its mistakes, which open as well.'
    rows = f'<div class="pictures">{figures}</div>' if figures else ""
    return f"<h2>On the stage</h2><p>Open a held-out sample, a layer, or {whole}. {said}</p>{rows}"


def _seen(path: Path, links: _Links) -> str:
    """Return a held-out sample as a picture, or as words if it is an array."""
    said = f"held-out sample {path.stem}"
    if path.suffix != ".png":
        return f"<span>{said}</span>"
    with path.open("rb") as file:
        sides = file.read(24)[16:]  # the width and the height that a PNG file begins with
    small = max(int.from_bytes(sides[:4]), int.from_bytes(sides[4:])) < SMALL
    kind = ' class="pixels"' if small else ""
    return f'<img{kind} src="{links.to("/training/sample", sample=path.stem)}" alt="{said}">'


def _tables(line: LayersLine, links: _Links) -> str:
    """Return the layers and the activations as two tables, in the order of the network."""
    bad = {fault.layer for fault in faults(line)}
    median = median_gradient(line)
    layers = (
        _row(links, name, name in bad, _layer_cells(one, median))
        for name, one in line.layers.items()
    )
    units = (_row(links, name, name in bad, _unit_cells(one)) for name, one in line.units.items())
    first = _table(("layer", "weights", "gradient", "of the median", "change"), layers)
    second = _table(("activation", "dead", "of", ""), units) if line.units else ""
    said = (
        f"After step {line.step:,}: the norms of weights and of their gradient, and the last "
        "change as a share of the weights. The line is at the median, a tick at each factor of 100."
    )
    return f'<h2>Layers</h2><p>{said}</p><div class="tables">{first}{second}</div>'


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f'<div class="wide"><table class="layers"><thead><tr>{names}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(links: _Links, name: str, bad: bool, cells: Sequence[str]) -> str:
    kind = ' class="bad"' if bad else ""
    said = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr{kind}><th scope="row">{links.layer(name)}</th>{said}</tr>'


def _layer_cells(one: LayerNumbers, median: float) -> tuple[str, ...]:
    frozen = math.isnan(one.gradient)
    gradient = "frozen" if frozen else f"{one.gradient:.3g}"
    change = "–" if math.isnan(one.update) else f"{one.update:.2g}"
    return (f"{one.weights:.3g}", gradient, _spot(one.gradient / median), change)


def _spot(share: float) -> str:
    """Return a dot on a line from a millionth to a million times the median, as SVG."""
    if math.isnan(share):
        return ""
    power = max(-6.0, min(6.0, math.log10(share))) if share > 0 else -6.0
    ticks = "".join(f"M{54 + 8 * k} 5v4" for k in range(-6, 7, 2))
    return (
        f'<svg class="spot" viewBox="0 0 108 14" role="img" aria-label="{share:.3g} times">'
        f'<path class="grid" d="M6 7H102{ticks}"/><path class="ideal" d="M54 0V14"/>'
        f'<circle class="last" cx="{54 + 8 * power:.1f}" cy="7" r="4"/></svg>'
    )


def _unit_cells(one: UnitCount) -> tuple[str, ...]:
    width = 96 * one.dead / max(1, one.channels)
    bar = (
        '<svg class="spot" viewBox="0 0 108 14" aria-hidden="true">'
        '<rect class="room" x="6" y="3" width="96" height="8"/>'
        f'<rect class="bar" x="6" y="3" width="{width:.1f}" height="8"/></svg>'
    )
    return (f"{one.dead:,}", f"{one.channels:,}", bar)
