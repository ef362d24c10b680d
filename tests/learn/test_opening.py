"""Networks are opened by any of the three spellings, or refused in one sentence."""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convlens.learn.opening import Opened, open_network
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.sources.arrays import read_array
from convlens.zoo import digits, model
from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD
from convlens.zoo.weights import DATA, DIGITS

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of a network; the path to name it by."""

    def written(code: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text("import torch\nfrom torch import nn\n" + textwrap.dedent(code))
        return str(path)

    return written


# Spellings


def test_a_name_of_the_zoo() -> None:
    opened = open_network("digits")
    assert (opened.name, opened.preparation) == ("digits", Preparation(8, channels=1, ink=True))
    assert opened.categories == tuple("0123456789")
    assert not opened.network.training
    x, shown = read_inputs(opened)
    assert shown is not None
    assert int(opened.network(x).argmax()) == 3
    assert open_network("filters").categories is None


def test_a_file_with_a_function_a_class_and_a_network(write: Write) -> None:
    path = write("""
        def build(depth=2):
            return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout())
        class Net(nn.Sequential):
            def __init__(self, *rest, **more):
                super().__init__(nn.Conv2d(1, 4, 3))
        ready = nn.Conv2d(3, 5, 3)
    """)
    for name, channels in (("build", 3), ("Net", 1), ("ready", 3)):
        opened = open_network(f"{path}:{name}")
        assert opened.name == f"{path}:{name}"
        assert opened.preparation == Preparation(size=224, channels=channels)
        assert not any(module.training for module in opened.network.modules())
        x, shown = read_inputs(opened)
        assert x.shape == (1, channels, 224, 224)
        assert shown is not None
        assert opened.network(x).shape[2:] == (222, 222)


def test_arguments_are_literals_and_are_checked(write: Write) -> None:
    path = write("""
        class Net(nn.Conv2d):
            def __init__(self, width, *, name="a:b", sizes=(1,)):
                super().__init__(3, width, sizes[-1])
                self.called = name
        ready = Net(2)
    """)
    network = open_network(f"{path}:Net(5, name='(x):y(', sizes=[2, 4])").network
    assert network.get_parameter("weight").shape == (5, 3, 4, 4)
    assert network.called == "(x):y("
    assert open_network(f"{path}:Net(6)").call == f"convlens.open_network('{path}:Net(6)')"
    with pytest.raises(TypeError, match=r"Net\(width, .*\) takes \(got an unexpected .*'depth'"):
        open_network(f"{path}:Net(5, depth=3)")
    with pytest.raises(TypeError, match="ready is a network that is already built"):
        open_network(f"{path}:ready()")


def test_a_file_alone_is_its_one_callable(write: Write) -> None:
    body = "class _Part(nn.Conv2d): pass\ndef block(width): return nn.Conv2d(3, width, 1)\n"
    path = write(body + "def build(width=4): return block(width)\n")
    opened = open_network(path)
    assert (opened.name, opened.network.get_parameter("weight").shape[0]) == (path, 4)
    write(body + "def build(): pass\nclass Net(nn.Conv2d):\n def __init__(self): pass\n")
    with pytest.raises(ValueError, match=r"callable of the file; it has build, Net; write .*:Net$"):
        open_network(path)
    write(body)
    with pytest.raises(ValueError, match=r"block wants arguments; write .*:block\(\.\.\.\)$"):
        open_network(path)
    write("")
    with pytest.raises(ValueError, match="it has none"):
        open_network(path)


# A module that is already built


def test_a_module_is_opened_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout().eval())
    opened = open_network(network, size=40)
    assert opened.network is network
    assert (opened.name, opened.preparation) == ("Sequential", Preparation(40, channels=1))
    assert [module.training for module in network.modules()] == [True, True, False]
    assert opened.call == "convlens.open_network(network, size=40)"
    with pytest.raises(ValueError, match=r"`weights` .* are for a network"):
        open_network(network, weights="x.pt")


def test_a_module_of_the_zoo_reads_what_the_zoo_says() -> None:
    for name in ("digits", "filters", "mobilenet_v3_small_075", "resnet18"):
        by_name, live = open_network(name, weights="none"), open_network(model(name, None))
        assert live.preparation == by_name.preparation
        assert (live.example, live.categories) == (by_name.example, by_name.categories)
    assert open_network(digits()).preparation == Preparation(8, channels=1, ink=True)
    own = digits()
    own.preparation = Preparation(16, channels=1)  # type: ignore[assignment]
    assert open_network(own).preparation == Preparation(16, channels=1)


def test_a_file_finds_its_neighbours_and_is_read_again_each_time(
    tmp_path: Path, write: Write
) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("WIDTH = 7\n")
    path = write("""
        def build():
            from neighbour_of_mine import WIDTH
            return nn.Conv2d(3, WIDTH, 1)
    """)
    before = list(sys.path)
    assert isinstance(open_network(f"{path}:build").network, nn.Conv2d)
    assert sys.path == before
    write("def build(): return nn.Conv2d(1, 2, 1)")
    assert open_network(f"{path}:build").network.get_parameter("weight").shape[0] == 2


def test_a_file_named_like_an_installed_module_does_not_replace_it(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text("from torch import nn\nnet = nn.Conv2d(3, 1, 1)\n")
    import json

    open_network(f"{path}:net")
    assert sys.modules["json"] is json


def test_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "net.py").write_text("from torch import nn\nmake = lambda: nn.Conv2d(3, 1, 1)\n")
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_network("package_of_mine.net:make").network, nn.Conv2d)
    assert isinstance(open_network("convlens.zoo.small:digits").network, type(digits()))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("digit", "did you mean 'digits'"),
        ("resnet5", "did you mean 'resnet50'"),
        ("zzz", "convlens.list_models() lists the zoo's"),
        ("", "must be a network of the zoo"),
        ("net.py", "must name an existing file; there is no net.py"),
        ("torch.nn:Conv2d(1, open('x'))", "must give its arguments as literals"),
        ("torch.nn:Conv2d(1, 2, 3)(4)", "must give its arguments as literals"),
        ("torch.nn:Conv2d(**{'a': 1})", "must give its arguments as literals"),
        ("torch.nn:Conv2d(1, 2", "did you mean 'Conv2d'"),
        ("/absent/net.py:build", "there is no /absent/net.py"),
        ("absent_package.net:build", "there is no absent_package; install it"),
        ("torch.absent:build", "there is no torch.absent"),
        (":build", "write both sides"),
        ("torch:", "write both sides"),
        ("torch.nn:Conv3", "did you mean 'Conv3d'"),
    ],
)
def test_what_cannot_be_found_is_refused(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^`network` \(=['\"]") as caught:
        open_network(spec)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("1 / 0", ValueError, "running mine.py raised ZeroDivisionError: division by zero"),
        ("def build(:", ValueError, "running mine.py raised SyntaxError"),
        ("import absent_thing", ValueError, "raised ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", ValueError, "raised SystemExit: 3"),
        ("def built(): pass", ValueError, "did you mean 'built'?"),
        ("def other(): pass", ValueError, "it has other"),
        ("build = 3", TypeError, "build is of type int"),
        ("def build(): return 'net'", TypeError, "build() returned str"),
        ("def build(depth): pass", TypeError, "the arguments that build wants: depth; write"),
        (
            "class build(nn.Module):\n def __init__(self, a, *, b): pass",
            TypeError,
            "wants: a, b; write",
        ),
        ("def build(): raise OSError('no\\ndisk')", ValueError, "build() raised OSError: no"),
    ],
)
def test_what_cannot_be_built_is_refused(
    write: Write, code: str, kind: type[Exception], said: str
) -> None:
    path = write("")
    Path(path).write_text("from torch import nn\n" + code)
    with pytest.raises(kind, match=r"^`network` \(='") as caught:
        open_network(f"{path}:build")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_breaks_while_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_of_mine.py").write_text("import absent_thing\n")
    (tmp_path / "failing_of_mine.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="importing broken_of_mine raised ModuleNotFoundError"):
        open_network("broken_of_mine:build")
    with pytest.raises(ValueError, match="importing failing_of_mine raised RuntimeError: no"):
        open_network("failing_of_mine:build")


# What a network says of itself, and what is asked for


def test_a_network_says_its_own_preparation_and_categories(write: Write) -> None:
    path = write("""
        from convlens.learn.preparing import Preparation
        net = nn.Conv2d(1, 2, 3)
        net.preparation = Preparation(size=(9, 12), channels=1)
        net.categories = ["yes", "no"]
        wrong = nn.Conv2d(1, 2, 3)
        wrong.preparation = 224
        named = nn.Conv2d(1, 2, 3)
        named.categories = "yes"
    """)
    opened = open_network(f"{path}:net")
    assert opened.preparation == Preparation(size=(9, 12), channels=1)
    assert opened.categories == ("yes", "no")
    assert read_inputs(opened)[0].shape == (1, 1, 9, 12)
    with pytest.raises(TypeError, match="`preparation` of"):
        open_network(f"{path}:wrong")
    with pytest.raises(TypeError, match="`categories` of"):
        open_network(f"{path}:named")


def test_size_and_normalize(write: Write) -> None:
    spec = write("net, grey, sound = nn.Conv2d(3, 2, 3), nn.Conv2d(1, 2, 3), nn.Conv1d(2, 2, 3)")
    opened = open_network(f"{spec}:net", size=(40, 60), normalize="imagenet")
    assert opened.preparation == Preparation((40, 60), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assert open_network("filters", size=100).preparation == Preparation(100, crop=False)
    with pytest.raises(ValueError, match=r"`normalize` .*needs 3 channels"):
        open_network(f"{spec}:grey", normalize="imagenet")
    with pytest.raises(ValueError, match=r"`normalize` .*must be 'imagenet'"):
        open_network(f"{spec}:net", normalize="mine")
    with pytest.raises(ValueError, match=r"`size`.*are for pictures"):
        open_network(f"{spec}:sound", size=3)


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        ("nn.Sequential(nn.Conv2d(4, 8, 3))", None),
        ("nn.Sequential(nn.Conv1d(3, 8, 3))", None),
        ("nn.Sequential(nn.Conv3d(1, 8, 3))", None),
        ("nn.ConvTranspose2d(100, 3, 4)", None),
        ("nn.ConvTranspose2d(3, 100, 4)", 3),
        ("nn.Conv2d(3, 6, 3, groups=3)", 3),
        ("nn.LazyConv2d(6, 3)", 3),
        ("nn.Sequential(nn.Flatten(), nn.Linear(12, 3))", 3),
        ("nn.Sequential(nn.ReLU())", 3),
    ],
)
def test_the_first_convolution_says_what_is_read(
    write: Write, network: str, channels: int | None
) -> None:
    opened = open_network(f"{write(f'net = {network}')}:net")
    if channels is None:
        assert (opened.preparation, opened.example) == (None, None)
    else:
        assert opened.preparation == Preparation(channels=channels)


def test_a_token_before_the_convolution_does_not_mislead(write: Write) -> None:
    path = write("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.token = nn.Parameter(torch.zeros(1, 1, 64))
                self.patches = nn.Conv2d(3, 64, 16, 16)
        class Functional(nn.Module):
            def __init__(self):
                super().__init__()
                self.kernel = nn.Parameter(torch.zeros(8, 1, 5, 5))
    """)
    assert open_network(f"{path}:Net").preparation == Preparation(channels=3)
    assert open_network(f"{path}:Functional").preparation == Preparation(channels=1)


def test_weights_are_loaded(write: Write) -> None:
    path = write("from convlens.zoo import digits")
    fresh = open_network(f"{path}:digits").network
    loaded = open_network(f"{path}:digits", weights=DIGITS).network
    shipped = open_network("digits").network.get_parameter("conv1.weight")
    assert torch.equal(loaded.get_parameter("conv1.weight"), shipped)
    assert not torch.equal(fresh.get_parameter("conv1.weight"), shipped)
    assert open_network("digits", weights=DIGITS).name == "digits"
    with pytest.raises(ValueError, match=r"`weights` \(digits.safetensors\) must fit"):
        open_network("filters", weights=DIGITS)


# Inputs


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def claiming(shape: str) -> bytes:
    """An array of 2 x 50 whose header says it has another shape."""
    honest = b"(2, 50), }"
    added = len(shape) - len("(2, 50)")
    content = npy(np.zeros((2, 50)))
    changed = content.replace(honest + b" " * added, f"{shape}, }}".encode())
    if len(changed) != len(content):
        raise RuntimeError("the header was not rewritten to its own length")
    return changed


@pytest.fixture
def sound(write: Write) -> Opened:
    return open_network(f"{write('net = nn.Conv1d(2, 4, 3)')}:net")


def test_arrays_for_networks_of_one_and_three_dimensions(
    sound: Opened, write: Write, tmp_path: Path
) -> None:
    signal = np.random.default_rng(0).normal(size=(2, 50))
    for array in (signal, signal[None], signal.astype(">f8"), np.asfortranarray(signal)):
        x, shown = read_inputs(sound, npy(array))
        assert shown is None
        assert x.dtype == torch.float32
        assert torch.equal(x[0], torch.from_numpy(signal).float())
    assert read_inputs(sound, npy(np.zeros((5, 2, 50), np.int16)))[0].shape == (5, 2, 50)
    volume = open_network(f"{write('net = nn.Conv3d(1, 4, 3).double()')}:net")
    np.save(tmp_path / "volume.npy", np.full((1, 4, 5, 6), 1 / 3))
    x, _ = read_inputs(volume, tmp_path / "volume.npy")
    assert x.shape == (1, 1, 4, 5, 6)
    assert x.dtype == torch.float64
    assert x.flatten()[0].item() == 1 / 3


def test_a_picture_for_a_network_that_reads_arrays_is_refused(sound: Opened) -> None:
    for source in (None, DATA / "cat.jpg"):
        with pytest.raises(ValueError, match=r"reads \(n, 2, length\) and no pictures"):
            read_inputs(sound, source)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(np.zeros((3, 50))), r"must have 3 dimensions \(n, 2, \*space\)"),
        (npy(np.zeros(50)), "must have 3 dimensions"),
        (npy(np.zeros((50, 2))), r"\(an array \(50, 2\)\) .* numpy.moveaxis\(array, -1, 0\)"),
        (npy(np.zeros((4, 50, 2))), r"\(an array \(4, 50, 2\)\) .* numpy.moveaxis\(array, -1, 1\)"),
        (npy(np.zeros((2, 0))), "none of them 0"),
        (npy(np.zeros((2, 50), complex)), "its numbers are complex128"),
        (npy(np.array([[None, None]])), "its numbers are object"),
        (npy(np.zeros((2, 50)))[:-1], "1 bytes are missing"),
        (npy(np.zeros((2, 50)))[:20], "must be a whole .npy file"),
        (claiming("(2, 9**9)"), "must be a whole .npy file"),
        (claiming("(2, -50)"), "must be a whole .npy file"),
        (claiming("(2, 999999999999)"), "bytes are missing"),
    ],
)
def test_other_arrays_are_refused(sound: Opened, content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_inputs(sound, content)


@settings(max_examples=150, deadline=None, database=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_damaged_array_is_an_array_or_a_valueerror(changes: list[tuple[int, int]]) -> None:
    content = bytearray(npy(np.zeros((2, 50))))
    for place, value in changes:
        content[place] = value
    try:
        ending = f"{read_array(bytes(content), reads=(2, 1)).ndim} dimensions"
    except ValueError as error:
        ending = str(error)
    assert ending == "3 dimensions" or ending.startswith("`picture` (")


def test_an_absent_array_is_refused(sound: Opened) -> None:
    with pytest.raises(ValueError, match="must name an existing file"):
        read_inputs(sound, "absent.npy")


def test_inputs_take_the_networks_float_type(write: Write) -> None:
    opened = open_network(f"{write('net = nn.Conv2d(3, 1, 1).half()')}:net")
    assert read_inputs(opened, (DATA / "cat.jpg").read_bytes())[0].dtype == torch.float16
