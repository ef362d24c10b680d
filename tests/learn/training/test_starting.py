"""Training is repeatable, and what does not fit is refused in a sentence before anything begins."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.recipe import Recipe
from convlens.learn.run_folder import RunFolder
from convlens.learn.training.starting import train
from convlens.zoo import model
from tests.cases.training_runs import QUICK, numbers, shades, small_network


def test_progress_is_yielded_after_every_epoch_and_the_network_learns() -> None:
    reports = list(train(small_network(), shades(), replace(QUICK, epochs=8)))
    assert [one.epoch for one in reports] == list(range(1, 9))
    assert [one.step for one in reports] == [5 * k for k in range(1, 9)]
    assert reports[0].loss > reports[-1].loss > 0
    assert reports[-1].values["accuracy"] > 0.9
    assert reports[-1].best == max(one.values["accuracy"] for one in reports)
    assert [one.seconds for one in reports] == sorted(one.seconds for one in reports)


def test_wrong_labels_teach_nothing() -> None:
    data = shades()
    drawn = torch.randint(3, (60,), generator=torch.Generator().manual_seed(0))
    wrong = Data(ArraySamples(data.train.inputs, drawn), data.held_out)  # type: ignore[attr-defined]
    last = list(train(small_network(), wrong, replace(QUICK, epochs=8)))[-1]
    assert last.values["accuracy"] < 0.7


def test_the_seed_settles_every_number_and_nothing_else_does() -> None:
    trained = {}
    for name, seed, noise in (("a", 0, 1), ("again", 0, 2), ("other", 1, 1)):
        network = small_network()
        torch.manual_seed(noise)
        before = torch.random.get_rng_state()
        for _ in train(network, shades(), replace(QUICK, seed=seed)):
            assert torch.equal(torch.random.get_rng_state(), before)
        trained[name] = numbers(network)
    assert torch.equal(trained["a"], trained["again"])
    assert not torch.equal(trained["a"], trained["other"])


def test_every_module_keeps_its_mode_and_torch_its_threads() -> None:
    network = small_network().train()
    network.get_submodule("3").eval()
    threads = torch.get_num_threads()
    list(train(network, shades(), replace(QUICK, epochs=1)))
    assert [module.training for module in network.children()] == [True] * 3 + [False] + [True] * 3
    assert torch.get_num_threads() == threads


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    """With a rate of almost nothing the epoch's mean loss is the loss of the network as it is."""
    data = shades()
    network = nn.Sequential(nn.Flatten(), nn.Linear(432, 3))
    inputs, labels = data.train.inputs, data.train.targets  # type: ignore[attr-defined]
    expected = nn.functional.cross_entropy(network(inputs), labels).item()
    [progress] = train(network, data, Recipe(epochs=1, rate=1e-12, decay=0, batch=12, threads=1))
    assert progress.loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("balance", [False, True])
def test_a_step_in_parts_has_the_gradient_of_the_whole(balance: bool) -> None:
    """Labels are uneven, so that a mean of the parts' means would be another number."""
    trained = []
    labels = torch.tensor([0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0])
    inputs = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    data = Data(ArraySamples(inputs, labels), ArraySamples(inputs, labels))
    for parts in (1, 3):
        network = nn.Linear(4, 3)
        with torch.no_grad():
            network.weight.fill_(0.1)
            network.bias.zero_()
        recipe = Recipe(
            epochs=2, batch=12, accumulate=parts, balance=balance, optimizer="sgd", rate=0.1
        )
        list(train(network, data, recipe))
        trained.append(numbers(network))
    torch.testing.assert_close(trained[0], trained[1], rtol=1e-6, atol=1e-7)


def test_a_balanced_loss_weighs_a_rare_category_as_much_as_a_frequent_one() -> None:
    labels = torch.tensor([0] * 10 + [1] * 2)
    inputs = torch.zeros(12, 1)
    data = Data(ArraySamples(inputs, labels), ArraySamples(inputs, labels))
    chances = []
    for balance in (False, True):
        network = nn.Linear(1, 2)
        recipe = Recipe(epochs=150, batch=12, balance=balance, rate=0.05, decay=0, threads=1)
        list(train(network, data, recipe))
        chances.append(network(inputs[:1]).softmax(1)[0, 1].item())
    assert chances[0] == pytest.approx(2 / 12, abs=0.02)
    assert chances[1] == pytest.approx(0.5, abs=0.02)


def test_frozen_stages_change_neither_weights_nor_statistics() -> None:
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    list(train(network, shades(), replace(QUICK, freeze=2)))
    changed = [k for k, v in network.state_dict().items() if not torch.equal(v, before[k])]
    assert changed == ["6.weight", "6.bias"]


def test_the_average_is_what_is_measured_and_kept() -> None:
    network = small_network()
    first = {name: value.clone() for name, value in network.state_dict().items()}
    list(train(network, shades(), replace(QUICK, epochs=1, ema=1.0)))
    # An average that keeps all of itself stays nearer to the beginning than the weights.
    plain = small_network()
    list(train(plain, shades(), replace(QUICK, epochs=1)))
    away = [
        float((one.state_dict()["6.weight"] - first["6.weight"]).norm()) for one in (network, plain)
    ]
    assert 0 < away[0] < away[1]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_optimizer_and_precision_learns(optimizer: str, precision: str) -> None:
    training = train(
        *(small_network(), shades(), QUICK),
        optimizer=optimizer,
        precision=precision,
        rate=0.01,
        epochs=8,
    )
    reports = list(training)
    assert reports[-1].loss < 0.8 * reports[0].loss


def test_arguments_are_checked_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="`network`"):
        train(3, shades(), QUICK)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have parameters to train"):
        train(model("filters"), shades(), QUICK)
    with pytest.raises(ValueError, match=r"`data` \(=None\) must be given"):
        train(small_network(), None, QUICK)
    with pytest.raises(ValueError, match=r"`task` .*did you mean 'classification'"):
        train(small_network(), shades(), QUICK, task="clasification")
    with pytest.raises(ValueError, match=r"`device` \(='cuda:9'\).*use 'cpu'"):
        train(small_network(), shades(), replace(QUICK, device="cuda:9"))
    with pytest.raises(ValueError, match=r"`network` \(='vgg11'\) does detection, which learns"):
        train("vgg11", shades(), QUICK, task="detection")
    with pytest.raises(
        ValueError, match=r"`classes` \(=2\) must be the number of the data's categories"
    ):
        train("vgg11", shades(), QUICK, classes=2)
    with pytest.raises(ValueError, match=r"`augmentations` \(='mirrot'\).*did you mean 'mirror'"):
        list(train(small_network(), shades(), QUICK, augmentations=("mirrot",)))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=r"`out` .*must be a folder, and is a file"):
        train(small_network(), shades(), QUICK, tmp_path / "file")
    with pytest.raises(ValueError, match=r"`out` .*has other files"):
        train(small_network(), shades(), QUICK, tmp_path)


@pytest.mark.parametrize("effort", [0, -1.0, math.nan, math.inf])
def test_an_effort_that_multiplies_nothing_is_refused(effort: float) -> None:
    with pytest.raises(ValueError, match=r"`effort` .* must be above 0"):
        train(small_network(), shades(), QUICK, effort=effort)


def test_effort_multiplies_the_epochs_of_every_recipe_and_a_field_has_the_last_word() -> None:
    assert train(small_network(), shades(), QUICK, effort=2).recipe.epochs == 2 * QUICK.epochs
    assert train("digits", effort=0.5).recipe.epochs == 30
    assert train("digits", effort=0.001).recipe.epochs == 1
    assert train(small_network(), shades(), effort=0.1).recipe.epochs == 10
    assert train("digits", effort=0.5, epochs=7).recipe.epochs == 7


def test_a_run_that_failed_before_its_first_checkpoint_is_begun_again(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'mirror'"):
        list(train(small_network(), shades(), QUICK, tmp_path, augmentations=("mirrot",)))
    other = shades(30)
    list(train(small_network(), other, QUICK, tmp_path, augmentations=("mirror",)))
    facts = RunFolder(tmp_path).facts()
    assert facts.recipe.augmentations == ("mirror",)
    with pytest.raises(ValueError, match="`augmentations`"):
        train(small_network(), other, QUICK, tmp_path)


# A network of the user's own is tried on a sample before anything begins


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (nn.Conv2d(3, 3, 3), r"must give scores \(n, categories\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(432, 2)), r"must give scores \(n, categories\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(432, 5)), r"must be scores \(n, 3\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 3)), r"must take inputs \(1, 3, 12, 12\)"),
    ],
)
def test_answers_that_do_not_fit_are_refused_and_nothing_is_written(
    network: nn.Module, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        train(network, shades(), QUICK, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_sample_that_is_tried_changes_nothing() -> None:
    network = small_network().train()
    before, state = numbers(network), torch.random.get_rng_state()
    train(network, shades(), QUICK)
    assert torch.equal(numbers(network), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(module.training for module in network.modules())


def test_one_sample_at_a_time_under_batch_normalization_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(432, 3), nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match=r"`batch` \(=1\) must give batch normalization"):
        list(train(network, shades(), replace(QUICK, batch=1)))
