"""Training is repeatable, reports itself, and leaves a whole checkpoint whatever happens."""

from __future__ import annotations

import os
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convlens.learn.recipe import Recipe
from convlens.learn.training.data import Data, Examples
from convlens.learn.training.digits import digits_data, train_digits
from convlens.learn.training.epochs import accuracy, train
from convlens.zoo import model
from convlens.zoo.weights import metadata, read_weights
from convlens.zoo.weights.saving import save_tensors

QUICK = Recipe(epochs=3, batch=64, rate=1e-2)


def small_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10))


def numbers(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_progress_is_yielded_after_every_epoch() -> None:
    network = small_network()
    reports = list(train(network, digits_data(), QUICK))
    assert [(progress.epoch, progress.epochs) for progress in reports] == [(1, 3), (2, 3), (3, 3)]
    assert reports[0].loss > reports[1].loss > reports[2].loss > 0
    assert 0 < reports[0].seconds < reports[1].seconds < reports[2].seconds
    assert reports[-1].accuracy == accuracy(network, digits_data().held_out) > 0.85
    with pytest.raises(FrozenInstanceError):
        reports[0].loss = 0.0  # type: ignore[misc]


def test_the_seed_settles_every_number_and_nothing_else_does() -> None:
    trained = {}
    for name, seed, noise in (("a", 0, 1), ("again", 0, 2), ("other", 1, 1)):
        network = small_network()
        torch.manual_seed(noise)
        before = torch.random.get_rng_state()
        for _ in train(network, digits_data(), replace(QUICK, epochs=2, seed=seed)):
            assert torch.equal(torch.random.get_rng_state(), before)
        trained[name] = numbers(network)
    assert torch.equal(trained["a"], trained["again"])
    assert not torch.equal(trained["a"], trained["other"])


def test_every_module_keeps_its_mode() -> None:
    network = small_network().train()
    network.get_submodule("1").eval()
    list(train(network, digits_data(), replace(QUICK, epochs=1)))
    accuracy(network, digits_data().held_out)
    assert [module.training for module in network.children()] == [True, False, True]


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    """With a rate of almost nothing the epoch's mean loss is the loss of the network as it is."""
    data = digits_data()
    network = model("digits", weights=None)
    logits = network(data.train.inputs).log()
    expected = nn.functional.nll_loss(logits, data.train.labels).item()
    [progress] = train(network, data, Recipe(epochs=1, rate=1e-12, decay=0))
    assert progress.loss == pytest.approx(expected, rel=1e-5)
    # Able to fail: taking the probabilities for the logits gives another number.
    twice = nn.functional.cross_entropy(network(data.train.inputs), data.train.labels).item()
    assert progress.loss != pytest.approx(twice, rel=1e-5)


def test_a_diverging_training_is_stopped_and_the_last_good_checkpoint_stays(
    tmp_path: Path,
) -> None:
    out = tmp_path / "weights.safetensors"
    network = small_network()
    list(train(network, digits_data(), QUICK, out))
    kept = out.read_bytes()
    with torch.no_grad():
        next(network.parameters())[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"`rate` \(=0.01\).*epoch 1.*such as 0.001"):
        list(train(network, digits_data(), QUICK, out))
    assert out.read_bytes() == kept


def test_arguments_are_checked_at_the_call(tmp_path: Path) -> None:
    data = digits_data()
    with pytest.raises(TypeError, match="`network`"):
        train("digits", data)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have parameters to train"):
        train(model("filters"), data)
    with pytest.raises(ValueError, match=r"`out` .*must end in \.safetensors"):
        train(small_network(), data, out=tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"`out` .*must be in an existing folder"):
        train(small_network(), data, out=tmp_path / "absent" / "weights.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(ValueError, match=r"`out` .*not a folder"):
        train_digits(tmp_path / "folder.safetensors")


@pytest.mark.parametrize(
    "network", [nn.Linear(8, 10), nn.Sequential(nn.Flatten(), nn.Linear(64, 9))]
)
def test_outputs_that_are_no_scores_are_refused(network: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"must give scores \(n, categories\).*0 to 9"):
        list(train(network, digits_data(), QUICK))


def normalized() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10))


def first(count: int) -> Data:
    train_on, held_out = digits_data().train, digits_data().held_out
    return Data(
        Examples(train_on.inputs[:count], train_on.labels[:count]),
        Examples(held_out.inputs[:40], held_out.labels[:40]),
    )


def test_a_last_example_that_is_left_alone_joins_the_batch_before() -> None:
    network = normalized()
    seen: list[int] = []
    network.register_forward_pre_hook(lambda module, x: seen.append(len(x[0])))
    list(train(network, first(33), Recipe(epochs=1, batch=16)))
    assert [n for n in seen if n < 40] == [16, 17]
    seen.clear()
    list(train(network, first(34), Recipe(epochs=1, batch=16)))
    assert [n for n in seen if n < 40 or n == 2] == [16, 16, 2]


@pytest.mark.parametrize(("count", "batch"), [(5, 1), (1, 4)])
def test_one_example_at_a_time_under_batch_normalization_is_refused(count: int, batch: int) -> None:
    with pytest.raises(ValueError, match=rf"`batch` \(={batch}\) must give batch normalization"):
        list(train(normalized(), first(count), Recipe(epochs=1, batch=batch)))
    list(train(small_network(), first(count), Recipe(epochs=1, batch=batch)))  # without, it trains


# Checkpoints and Ctrl-C


class Interrupting(nn.Module):
    """A network during whose given forward pass somebody presses Ctrl-C."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self.network = small_network()
        self.passes = passes

    def forward(self, x: Tensor) -> Tensor:
        self.passes -= 1
        if self.passes == 0:
            raise KeyboardInterrupt
        scores: Tensor = self.network(x)
        return scores


# 23 training passes an epoch of 1,438 examples in batches of 64, then 2 to measure 359.
@pytest.mark.parametrize(("passes", "whole"), [(1, 0), (24, 0), (26, 1), (49, 1), (60, 2)])
def test_ctrl_c_ends_the_training_and_leaves_the_last_whole_epoch(
    tmp_path: Path, passes: int, whole: int
) -> None:
    out = tmp_path / "weights.safetensors"
    epochs = []
    expected = None
    network = Interrupting(passes)
    for progress in train(network, digits_data(), QUICK, out):
        epochs.append(progress.epoch)
        expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert epochs == list(range(1, whole + 1))
    if expected is None:
        assert list(tmp_path.iterdir()) == []
    else:
        stored = read_weights(out)
        assert all(torch.equal(stored[name], expected[name]) for name in expected)
        assert metadata(out)["epoch"] == str(whole)
        assert list(tmp_path.iterdir()) == [out]


def test_ctrl_c_while_writing_leaves_the_old_checkpoint_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "weights.safetensors"
    progress = train(small_network(), digits_data(), QUICK, out)
    next(progress)
    kept = out.read_bytes()

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    assert list(progress) == []
    assert out.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [out]


def test_readers_during_writing_find_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "weights.safetensors"
    network = small_network()
    save_tensors(network.state_dict(), out, {"epoch": "1"})
    seen = []
    replace_file = os.replace

    def looking(beside: Path, path: Path) -> None:
        seen.append(metadata(path)["epoch"])
        replace_file(beside, path)
        seen.append(metadata(path)["epoch"])

    monkeypatch.setattr(os, "replace", looking)
    save_tensors(network.state_dict(), out, {"epoch": "2"})
    assert seen == ["1", "2"]


def test_tied_weights_are_stored_under_both_names(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    network[1].weight = network[0].weight
    save_tensors(network.state_dict(), tmp_path / "tied.safetensors")
    stored = read_weights(tmp_path / "tied.safetensors")
    assert torch.equal(stored["0.weight"], stored["1.weight"])
