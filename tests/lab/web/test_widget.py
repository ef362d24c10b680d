"""The widget's one module draws the page in a host of its own, over anywidget's messages."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from convlens.lab.showing import lab_on
from convlens.lab.widget import Widget

pytestmark = pytest.mark.xdist_group("lab")

HOST = """async ([module, css]) => {
  document.head.appendChild(document.createElement("style")).textContent = css;
  const listeners = new Set(), state = window.state = {state: ""};
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const model = {
    get: (name) => state[name], set: (name, value) => { state[name] = value; }, save_changes() {},
    on: (event, callback) => event === "msg:custom" && listeners.add(callback),
    off: (event, callback) => listeners.delete(callback),
    send: async (content) => {
      const [reply, buffers] = (await toPython(content)) ?? [null, []]; // none where it only looks
      for (const callback of [...listeners]) callback(reply, buffers.map(bytes));
    },
  };
  const address = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
  const widget = (await import(address)).default;
  window.leave = widget.render({model, el: document.getElementById("host")});
}"""


def test_the_page_is_drawn_in_a_notebook_too(page: Page) -> None:
    widget = Widget(lab_on("digits"))
    replies: list[tuple[object, list[bytes]]] = []
    widget.send = lambda content, buffers=None: replies.append((content, buffers or []))

    def to_python(content: Any) -> list[object] | None:
        widget._handle_custom_msg(content, [])
        if not replies:
            return None
        reply, buffers = replies.pop()
        return [reply, [base64.b64encode(buffer).decode() for buffer in buffers]]

    page.expose_function("toPython", to_python)
    page.set_content("<p contenteditable>a cell</p><div id=host></div>")
    ground = page.evaluate("getComputedStyle(document.body).background")
    page.evaluate(HOST, [widget._esm, widget._css])
    expect(page.locator("#host")).to_contain_text("conv1")
    assert page.evaluate("getComputedStyle(document.body).background") == ground
    assert page.title() == ""
    page.locator("p[contenteditable]").press("1")  # the notebook's own keys
    assert "near=network" not in page.evaluate("state.state")
    page.locator("#host").press("1")
    page.wait_for_function("state.state.includes('near=network')")
    page.evaluate("leave()")
