"""Records hold what kernels take, are flattened in order, and refuse what does not fit."""

import ast
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import convlens
from convlens.compute.kernels.language import flattening
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import generated, put_word, word
from convlens.compute.kernels.launching import Launch
from convlens.compute.kernels.records import Fixed, InMemory, Pointer, fixed, leaves, words_of
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.transforms.geometry import FourierGeometry
from convlens.compute.methods.depthwise import Depthwise
from convlens.compute.methods.lanes import Lanes

PLACES = 8


@dataclass(frozen=True, kw_only=True)
class Inner:
    TWICE: Fixed
    low: int
    table: Pointer


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    space: Axes
    extra: int


def of_inner(y: int, inner: Inner, at: int) -> int:
    put_word(y, at, inner.low * inner.TWICE + word(inner.table, 1))
    return inner.low


def of_space(y: int, at: int, space: Axes) -> None:
    put_word(y, at, space.d * 100 + space.h * 10 + space.w)


def outer(task: int, scratch: int, y: int, a: Outer) -> None:
    space, other = a.space, a.inner
    low = of_inner(y, other, task)
    of_space(y, 1, space)
    put_word(y, 2, a.extra - low)
    put_word(y, 3, PLACES)


def example(**changes: Any) -> Outer:
    inner = Inner(TWICE=Fixed(2), low=21, table=Pointer(np.array([7, 8])))
    return dataclasses.replace(
        Outer(inner=inner, space=Axes(d=1, h=2, w=3), extra=Fixed(50)), **changes
    )


def run(record: Outer) -> list[int]:
    y = np.zeros(4, np.int64)
    Launch(Kernel.of("outer", "int64", outer, record), record, tasks=1)(y.ctypes.data)
    return y.tolist()


def test_a_kernel_reads_a_record_and_passes_it_on() -> None:
    assert run(example()) == [50, 123, 29, PLACES]
    assert run(example(space=Axes(d=4, h=5, w=6))) == [50, 456, 29, PLACES]
    assert run(example(extra=21)) == [50, 123, 0, PLACES]  # a word, where it was compiled in
    assert run(example(space=Axes(d=4, h=Fixed(5), w=6))) == [50, 456, 29, PLACES]


def test_a_kernel_means_the_same_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    y: dict[int, int] = {}
    monkeypatch.setitem(outer.__globals__, "put_word", lambda _, at, n: y.update({at: int(n)}))
    monkeypatch.setitem(outer.__globals__, "word", lambda p, i: int(p.array[i]))
    outer(0, 0, 0, example())
    assert [y[i] for i in range(4)] == [50, 123, 29, PLACES]


def test_records_are_flattened_in_the_order_of_their_fields() -> None:
    assert [leaf.path for leaf in leaves(Outer)] == [
        "inner.TWICE", "inner.low", "inner.table", "space.d", "space.h", "space.w", "extra",
    ]  # fmt: skip
    kernel = Kernel.of("outer", "int64", outer, example())
    assert kernel.constants == (("Inner_TWICE", 2), ("a_extra", 50))
    assert kernel.parameters == (
        "y", "a_inner_low", "a_inner_table", "a_space_d", "a_space_h", "a_space_w",
    )  # fmt: skip
    assert words_of(example())[2:] == [1, 2, 3]
    text = kernel.text()
    assert "def of_inner(y, inner_low, inner_table, at):" in text
    assert "of_inner(y, a_inner_low, a_inner_table, task)" in text
    assert "inner_low * Inner_TWICE" in text
    assert f"PLACES = {PLACES}" in text
    assert text.index("def of_inner") < text.index("def outer") < text.index("def run")


def test_an_array_is_kept_alive_and_one_block() -> None:
    array, tensor = np.arange(6.0), torch.arange(6)
    assert Pointer(array) == array.ctypes.data
    assert Pointer(array).array is array
    assert Pointer(tensor) == tensor.data_ptr()
    assert Pointer(None) == 0
    for strided in (array[::2], tensor.view(2, 3).T):
        with pytest.raises(ValueError, match="make it contiguous first"):
            Pointer(strided)


@dataclass(frozen=True)
class ByPosition:
    a: int


@dataclass(kw_only=True)
class Changing:
    a: int


@dataclass(frozen=True, kw_only=True)
class Named:
    name: str


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ByPosition, "field `a` of record ByPosition must be keyword-only"),
        (Changing, "record Changing must be a frozen dataclass"),
        (
            Named,
            "field `name` of record Named is a <class 'str'>; use int, Fixed, Pointer or a rec",
        ),
    ],
)
def test_what_is_no_record_is_refused(kind: type, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        leaves(kind)


@dataclass(frozen=True, kw_only=True)
class Two:
    one: Inner
    other: Inner


def test_fixed_numbers_are_fixed_and_one() -> None:
    inner: Any = Inner(TWICE=3, low=1, table=Pointer(None))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`TWICE` \(=3\) of Inner must be a Fixed number"):
        fixed(inner, "a")
    one, other = (Inner(TWICE=Fixed(i), low=1, table=Pointer(None)) for i in (2, 3))
    assert fixed(Two(one=one, other=one), "a") == (("Inner_TWICE", 2),)
    with pytest.raises(ValueError, match=r"`other.TWICE` of Two has two values, 2 and 3"):
        fixed(Two(one=one, other=other), "a")


def test_a_record_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError, match=r"outer of .* takes no Axes"):
        Kernel.of("outer", "int64", outer, Axes(d=1, h=1, w=1))
    kernel = Kernel.of("outer", "int64", outer, example())
    with pytest.raises(TypeError, match="kernel outer was compiled for other fixed numbers"):
        Launch(kernel, example(extra=Fixed(51)), tasks=1)


def test_no_number_is_given_by_position() -> None:
    with pytest.raises(TypeError, match="takes 1 positional argument but 4 were given"):
        Axes(1, 2, 3)  # type: ignore[call-arg]


# Type checkers see a swap, too: an `ignore` without a reason is an error.
def swapped(task: int, scratch: int, y: int, a: Outer) -> None:
    of_space(y, a.space, 1)  # type: ignore[arg-type]


def number(task: int, scratch: int, y: int, a: Outer) -> None:
    put_word(y, 0, a.space)


def named(task: int, scratch: int, y: int, a: Outer) -> None:
    a_extra = 1
    put_word(y, 0, a_extra)


def twice(task: int, scratch: int, y: int, a: Outer) -> None:
    space = a.space
    space = a.space
    of_space(y, 1, space)


def unknown(task: int, scratch: int, y: int, a: Outer) -> None:
    put_word(y, 0, a.inner.high)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (swapped, TypeError, r"`of_space\(y, a.space, 1\)` in swapped does not fit the parameters"),
        (named, NotImplementedError, "named has variables named as parts of a record: {'a_extra'}"),
        (twice, NotImplementedError, "`space = a.space` in twice is not supported in kernels"),
        (unknown, NotImplementedError, "`a.inner.high` in unknown is not supported in kernels"),
    ],
)
def test_what_records_are_not_is_refused(
    function: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        flattening.source(function)


def test_a_record_is_no_number() -> None:
    """A word receives the numbers of the record, which are too many for it."""
    record = example()
    with pytest.raises(NotImplementedError, match="is not supported in kernels"):
        Launch(Kernel.of("number", "int64", number, record), record, tasks=1)


@generated
def of_block(y: int, space: Axes) -> None:
    """Write something."""


def blocked(task: int, scratch: int, y: int, a: Axes) -> None:
    of_block(y, a)


def test_a_block_is_called_as_its_parameters_say() -> None:
    a = Axes(d=4, h=5, w=6)
    assert flattening.parameters(of_block) == ("y", "space_d", "space_h", "space_w")
    block = "def of_block(y, space_d, space_h, space_w):\n    put_word(y, 0, space_h)\n"
    y = np.zeros(1, np.int64)
    kernel = Kernel.of("blocked", "int64", blocked, a, blocks=block)
    Launch(kernel, a, tasks=1)(y.ctypes.data)
    assert y[0] == 5
    with pytest.raises(RuntimeError, match="`of_block` works only inside a compiled kernel"):
        of_block(0, a)


@pytest.mark.parametrize("kind", [Depthwise, Lanes, FourierGeometry])
def test_every_number_of_a_record_has_one_place(kind: type) -> None:
    paths = [leaf.path for leaf in leaves(kind)]
    assert len(paths) == len({path.replace(".", "_") for path in paths})


@dataclass(frozen=True, kw_only=True)
class Table(InMemory):
    first: int
    space: Axes
    numbers: Pointer


def of_table(y: int, g: Table, place: Axes) -> None:
    put_word(y, place.h, g.space.w + word(g.numbers, place.w))


def in_table(task: int, scratch: int, y: int, g: Table) -> None:
    put_word(y, 0, g.first)
    of_table(y, g, Axes(w=g.first - 2, h=task + 1, d=0))


def table(**changes: Any) -> Table:
    numbers = Pointer(np.array([30, 40]))
    return Table(**{"first": 3, "space": Axes(d=4, h=5, w=6), "numbers": numbers, **changes})


def test_a_record_in_memory_is_one_address() -> None:
    record, y = table(), np.zeros(2, np.int64)
    assert record.table.tolist() == [3, 4, 5, 6, int(record.numbers)]
    assert words_of(record) == [record.table.ctypes.data]
    kernel = Kernel.of("in_table", "int64", in_table, record)
    assert kernel.parameters == ("y", "g")
    text = kernel.text()
    assert "put_word(y, place_h, word(g, 3) + word(word(g, 4), place_w))" in text
    assert "of_table(y, g, 0, task + 1, word(g, 0) - 2)" in text
    Launch(kernel, record, tasks=1)(y.ctypes.data)
    assert y.tolist() == [3, 46]
    Launch(kernel, table(first=2), tasks=1)(y.ctypes.data)  # compiled once for all numbers
    assert y.tolist() == [2, 36]


@dataclass(frozen=True, kw_only=True)
class FixedTable(InMemory):
    WIDE: Fixed


def whole(task: int, scratch: int, y: int, g: Table) -> None:
    of_space(y, 1, g.space)


def unmade(task: int, scratch: int, y: int, g: Table) -> None:
    of_space(y, 1, Axes(d=1, h=2))  # type: ignore[call-arg]


def unread(task: int, scratch: int, y: int, g: Table) -> None:
    put_word(y, 0, g.last)  # type: ignore[attr-defined]


def test_what_records_in_memory_are_not_is_refused() -> None:
    with pytest.raises(TypeError, match="record FixedTable lies in memory; none of its fields"):
        leaves(FixedTable)
    with pytest.raises(TypeError, match=r"`of_space\(y, 1, g.space\)` in whole does not fit"):
        flattening.source(whole)
    with pytest.raises(NotImplementedError, match=r"`Axes\(d=1, h=2\)` in unmade is not supported"):
        flattening.source(unmade)
    with pytest.raises(
        NotImplementedError, match=r"`g.last` in unread is not supported in kernels"
    ):
        flattening.source(unread)


MOST = 12
"""Parameters of a kernel function, at most."""


def test_no_kernel_function_takes_many_parameters() -> None:
    folder = Path(convlens.__file__).parent / "compute"
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and len(node.args.args) > MOST:
                found.add(f"{path.relative_to(folder).as_posix()}:{node.name}")
    assert found == set()
