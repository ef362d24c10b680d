"""Link the page's modules into one, for hosts that load one module: a notebook, a file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping

__all__ = ["linked", "styles"]

_IMPORT = re.compile(r'^import\s+(?P<what>[^;"]+?)\s+from\s+"(?P<path>\.{1,2}/[^"]+)";$', re.M)
_DECLARED = re.compile(
    r"^export (?P<kept>(?:async )?(?:function\*?|class|const) (?P<name>[\w$]+))", re.M
)
_LISTED = re.compile(r"(?:^|(?<=[;}]))export\s*\{(?P<names>[^}]*)\}(?!\s*from\b);?", re.M)
_COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.S | re.M)
_REFUSED = re.compile(r"^(?:import|export)\b.*$|\bimport\.meta\b|\bimport\s*\(", re.M)
"""Forms of import and export that the page does without, as they cannot be linked."""


def linked(entry: str, modules: Mapping[str, str]) -> str:
    """Return one ES module that exports what the module `entry` exports.

    `modules` are texts by their paths. Each becomes a function that runs once, in the order of
    their imports, and returns its exports. The page's modules keep to a part of the language:
    static imports by relative paths, exports of functions, classes and constants, no circles.

    Raises ValueError, naming the module, for anything else.

    >>> print(
    ...     linked(
    ...         "a.js",
    ...         {
    ...             "a.js": 'import { b as c } from "./b.js";\\nexport const a = c + 1;',
    ...             "b.js": "export const b = 1;",
    ...         },
    ...     )
    ... )
    const $0 = (() => {
    const b = 1;
    return { b };
    })();
    const $1 = (() => {
    const { b: c } = $0;
    const a = c + 1;
    return { a };
    })();
    export const { a } = $1;
    """
    numbers: dict[str, int] = {}
    parts = [_part(path, modules[path], numbers) for path in _ordered(entry, modules, ())]
    # A pair is `outside: own`.
    outside = ", ".join(pair.partition(": ")[0] for pair in _taken(modules[entry])[1])
    return "\n".join([*parts, f"export const {{ {outside} }} = ${numbers[entry]};"])


def styles(page: str, files: Mapping[str, str], *, without: Collection[str] = ()) -> str:
    """Return the style sheets that a page links, joined in the order of its links.

    `without`: the paths of those that are left out.

    >>> styles('<link rel="stylesheet" href="/b.css">', {"a.css": "p {}", "b.css": "q {}"})
    'q {}'
    """
    paths = re.findall(r'<link rel="stylesheet" href="/([^"]+)">', page)
    return "\n".join(files[path] for path in paths if path not in without)


def _ordered(path: str, modules: Mapping[str, str], above: tuple[str, ...]) -> list[str]:
    """Return a module after all that it imports, each once."""
    if path in above:
        raise ValueError(f"{' imports '.join([*above, path])}: the page has no circles of imports")
    if path not in modules:
        raise ValueError(f"{above[-1]} imports {path}, which is not there")
    found: list[str] = []
    for match in _IMPORT.finditer(modules[path]):
        found += _ordered(_resolved(path, match["path"]), modules, (*above, path))
    return list(dict.fromkeys([*found, path]))


def _resolved(path: str, relative: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), relative))


def _part(path: str, text: str, numbers: dict[str, int]) -> str:
    """Return a module as a function that runs once; `numbers` gets its number."""

    def bound(match: re.Match[str]) -> str:
        number = numbers[_resolved(path, match["path"])]
        whole = re.fullmatch(r"\*\s+as\s+([\w$]+)", match["what"])
        names = whole[1] if whole else re.sub(r"\s+as\s+", ": ", match["what"])
        return f"const {' '.join(names.split())} = ${number};"

    body, names = _taken(_IMPORT.sub(bound, text))
    left = _REFUSED.search(_COMMENT.sub("", body))
    if left:
        raise ValueError(f"{path} has {left.group()!r}, which cannot be linked into one module")
    numbers[path] = len(numbers)
    returned = f"return {{ {', '.join(names)} }};"
    return f"const ${numbers[path]} = (() => {{\n{body.strip()}\n{returned}\n}})();"


def _taken(text: str) -> tuple[str, list[str]]:
    """Return a module without its `export`s, and what it exports, as an object writes it."""
    names = [match["name"] for match in _DECLARED.finditer(text)]
    for match in _LISTED.finditer(text):
        for pair in filter(None, map(str.strip, match["names"].split(","))):
            own, _, outside = pair.partition(" as ")
            names.append(f"{outside.strip()}: {own.strip()}" if outside else own)
    return _LISTED.sub("", _DECLARED.sub(r"\g<kept>", text)), names
