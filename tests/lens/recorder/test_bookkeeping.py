"""What the recorder does itself is not recorded, and a network cannot handle its errors."""

import pytest
import torch
from torch import Tensor

from convlens.lens.recorder.bookkeeping import Bookkeeping, Fault


class Heard(Tensor):
    """A subclass that counts the calls that torch shows it."""

    count = 0

    @classmethod
    def __torch_function__(cls, *args, **kwargs):  # type: ignore[no-untyped-def]
        cls.count += 1
        return super().__torch_function__(*args, **kwargs)  # type: ignore[no-untyped-call]


def test_depth_is_that_of_the_contexts_around() -> None:
    own = Bookkeeping()
    with own:
        assert own.depth == 1
        with own:
            assert own.depth == 2
    assert own.depth == 0


def test_a_subclass_sees_nothing_of_it() -> None:
    own, x = Bookkeeping(), torch.ones(2).as_subclass(Heard)
    before = Heard.count
    with own:
        x + 1
    assert Heard.count == before
    x + 1
    assert Heard.count > before


def test_an_error_becomes_a_fault_that_passes_by_every_handler_of_exceptions() -> None:
    own = Bookkeeping()

    def network() -> None:
        try:
            with own:
                raise KeyError("ours")
        except Exception:
            pytest.fail("a network handled it")

    with pytest.raises(Fault):
        network()
    assert isinstance(own.fault, KeyError)
    assert own.depth == 0


def test_control_c_stays_what_it_is() -> None:
    own = Bookkeeping()
    with pytest.raises(KeyboardInterrupt), own:
        raise KeyboardInterrupt
    assert own.fault is None
