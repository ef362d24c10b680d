"""The page's modules become one module that does the same, or are refused by name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from convlens.lab.linking import linked, styles
from convlens.lab.server import page_texts

NODE = shutil.which("node")


def run(text: str, folder: Path, more: str = "") -> str:
    """Run a module in node, and what it prints."""
    path = folder / "linked.mjs"
    path.write_text(text + more)
    assert NODE
    done = subprocess.run([NODE, path], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(NODE is None, reason="runs JavaScript")
def test_a_linked_module_does_what_its_modules_did(tmp_path: Path) -> None:
    modules = {
        "main.js": 'import {\n  twice,\n  Counter as C,\n} from "./parts/a.js";\n'
        'import * as b from "./b.js";\n// import nothing from "./nowhere.js";\n'
        "export function answer() { return [twice(2), new C().n, b.html, b.count()].join(); }\n"
        'export const text = `\n  export const x = "kept";`;\nconsole.log("ran", b.count());',
        "parts/a.js": 'import { count } from "../b.js";\n'
        "export const twice = (n) => 2 * n;\nexport class Counter { n = count(); }",
        "b.js": "let n = 0;\nconst h=1;export{h as html,count};\nfunction count() { return ++n; }",
    }
    more = "\nconsole.log(answer(), text.trim());"
    assert run(linked("main.js", modules), tmp_path, more) == (
        'ran 1\n4,2,1,3 export const x = "kept";'
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('import { a } from "./absent.js";', "main.js imports absent.js, which is not there"),
        ('import { a } from "./other.js";', "main.js imports other.js imports main.js: the page"),
        ('import { a } from "lit";', "main.js has"),
        ("export default 3;", "main.js has 'export default 3;'"),
        ("export let a = 3;", "main.js has 'export let a = 3;'"),
        ('export { a } from "./b.js";', "main.js has"),
        ('const a = import("./b.js");', r"main.js has 'import\('"),
        ("new URL(import.meta.url);", "main.js has 'import.meta'"),
    ],
)
def test_what_cannot_be_linked_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        linked("main.js", {"main.js": text, "other.js": 'import { x } from "./main.js";'})


def test_styles_come_in_the_order_of_the_page() -> None:
    page = '<link rel="stylesheet" href="/s/b.css">\n<link rel="stylesheet" href="/a.css">'
    files = {"a.css": "a", "s/b.css": "b", "c.css": "c"}
    assert styles(page, files) == "b\na"
    assert styles(page, files, without=["a.css"]) == "b"


@pytest.mark.skipif(NODE is None, reason="runs JavaScript")
@pytest.mark.parametrize("entry", ["main.js", "widget.js"])
def test_the_page_itself_can_be_linked(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "page.mjs"
    path.write_text(linked(entry, page_texts()))
    assert NODE
    subprocess.run([NODE, "--check", path], check=True, timeout=60)
