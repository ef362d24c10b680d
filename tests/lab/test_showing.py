"""`convlens.show` opens the page on whatever holds numbers, at the number that is named."""

from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import convlens
from convlens.lab import showing
from convlens.lab.showing import Shown, lab_on, place_of, show
from convlens.lab.widget import Widget
from convlens.zoo.weights import DATA
from tests.running.serving import unpacked


def test_a_live_module_is_shown_in_evaluation_mode_and_stays_in_its_own() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Dropout(0.9))
    pixels = np.zeros((9, 9, 3), np.uint8)
    lab = lab_on(network, pixels)
    assert network.training
    assert lab.recording.inputs[0].shape == (1, 3, 224, 224)
    made = lab.recording.values[lab.recording.made("1")[0]].tensor
    assert torch.equal(made, lab.recording.values[lab.recording.made("0")[0]].tensor)
    assert lab.network()["name"] == "Sequential"
    assert lab.look(Image.fromarray(pixels)) == 2


def test_a_zoo_network_as_a_module_reads_the_picture_as_the_zoo_does() -> None:
    lab = lab_on(convlens.model("digits"), DATA / "digit-3.png")
    assert lab.recording.inputs[0].shape == (1, 1, 8, 8)
    assert lab.network()["scores"][0]["label"] == "3"


def test_a_tensor_that_is_not_of_bytes_is_the_input_itself() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    x = torch.rand(2, 1, 8, 8)
    lab = lab_on(network, x)
    assert torch.equal(lab.recording.inputs[0].tensor, x)
    assert network.training
    assert torch.equal(network[1].get_buffer("running_mean"), torch.zeros(2))
    signal = lab_on(nn.Conv1d(2, 3, 3), np.zeros((2, 20), np.float32))
    assert signal.recording.inputs[0].shape == (1, 2, 20)


@pytest.mark.parametrize(
    ("shown", "steps"),
    [(np.arange(6.0).reshape(2, 3), 1), (torch.arange(6), 1)],
)
def test_an_array_is_shown_as_it_is(shown: Shown, steps: int) -> None:
    lab = lab_on(shown)
    assert len(lab.network()["steps"]) == steps
    assert lab.recording.inputs[0].tensor.tolist() == torch.as_tensor(shown).tolist()
    with pytest.raises(ValueError, match="this page shows a recording, not a network"):
        lab.look(b"")


def test_a_plan_is_shown_on_an_array() -> None:
    x, weight = torch.rand(1, 3, 9, 9), torch.rand(2, 3, 3, 3)
    plan = convlens.plan(x, weight)
    for given in (x, x.numpy()):
        recording = lab_on(plan, given).recording
        assert recording.output is not None
        assert torch.equal(recording.output.tensor, plan(x))
    with pytest.raises(TypeError, match=r"`picture` .* must be the array that Plan is called with"):
        lab_on(plan)
    with pytest.raises(
        ValueError, match=r"took no step .*; give .* a plan that was made for a ten"
    ):
        lab_on(convlens.plan(x.numpy(), weight.numpy()), x)


def test_what_cannot_be_shown_is_refused() -> None:
    recording = lab_on("digits").recording
    with pytest.raises(TypeError, match=r"`shown` \(of type int\) must be a network"):
        lab_on(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Recording is shown as it is"):
        lab_on(recording, DATA / "cat.jpg")
    with pytest.raises(ValueError, match="`picture` is needed: Conv1d"):
        lab_on(nn.Conv1d(1, 1, 1))
    for at, index, said in (
        (None, (0,), "needs `at`"),
        ("conv1", (0, 24, 0, 0), r"must lie in 'conv1', whose shape is \(1, 24, 8, 8\)"),
        ("conv1", (0, 1), "one integer for each axis"),
        ("conv9", None, "conv9"),
    ):
        with pytest.raises(ValueError, match=said):
            place_of(recording, at, index)
    assert place_of(recording, "conv1", None) == "at=conv1"


def test_an_explanation_opens_at_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    places = []
    monkeypatch.setattr(showing, "serve_lab", lambda lab, place: places.append(place))
    recording = lab_on("digits").recording
    assert show(convlens.explain(recording, "pool1", (0, 5, 1, 1))) is None
    show(recording, at="conv1", index=(0, -1, 0, 0))
    show(recording)
    assert places == ["at=pool1&index=0,5,1,1", "at=conv1&index=0,23,0,0", ""]


def test_what_is_shown_as_it_is_has_nothing_beside_it() -> None:
    for shown in (np.zeros(3), lab_on("digits").recording):
        with pytest.raises(TypeError, match=r"`beside` must be left out: .* is shown as it is"):
            lab_on(shown, beside="digits")


def test_a_notebook_gets_a_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "in_notebook", lambda: True)
    widget = show("digits", at="conv1", index=(0, 5, 6, 4))
    assert isinstance(widget, Widget)
    assert widget.state == "at=conv1&index=0,5,6,4"
    assert widget.alone
    compared = show("digits", beside={"before": convlens.model("digits")})
    assert isinstance(compared, Widget)
    assert not compared.alone  # the module is the caller's: it runs between the cells
    assert compared.lab.choices()["beside"] == ["before"]
    monkeypatch.setitem(sys.modules, "convlens.lab.widget", None)
    with pytest.raises(ImportError, match=r"pip install 'convlens\[notebook\]'"):
        show("digits")


def test_a_kernel_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    for kernel, answer in ((None, False), (object(), True)):
        shell = SimpleNamespace(kernel=kernel)
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda s=shell: s))
        assert showing.in_notebook() is answer


def test_a_script_serves_its_module_until_it_is_interrupted() -> None:
    code = (
        "import torch, convlens\n"
        "network = torch.nn.Conv2d(1, 1, 1)\n"
        "convlens.show(network, torch.ones(1, 1, 4, 4), at='', index=(0, 0, 1, 2))\n"
        "print('after')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=None
    )
    try:
        assert process.stdout
        found = re.search(r"(http://\S+/)#token=(\S+?)&(\S+)", process.stdout.readline())
        assert found
        address, token, place = found.groups()
        assert place.endswith("&index=0,0,1,2")
        with httpx.Client(trust_env=False, timeout=60) as client:
            asked = client.get(f"{address}api/network", headers={"x-convlens-token": token})
        assert unpacked(asked)["name"] == "Conv2d"
        process.send_signal(2)
        assert process.communicate(timeout=60)[0].split()[-1] == "after"
    finally:
        process.kill()
