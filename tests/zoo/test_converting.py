"""Weights become safetensors under today's names, with texts that state their source."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from convlens.cli import main
from convlens.zoo import model
from convlens.zoo.converting import convert
from convlens.zoo.mobilenet import mobilenet
from convlens.zoo.networks import weights
from convlens.zoo.weights import metadata, read_weights
from convlens.zoo.weights.saving import save_tensors
from tests.cases.zoo_weights import release

NETWORK = "mobilenet_v3_small"


@pytest.fixture
def trained() -> dict[str, Tensor]:
    return mobilenet(NETWORK).state_dict()


@pytest.fixture(autouse=True)
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: dict[str, Tensor]) -> Path:
    """A file of random weights in torch.hub's folder, taken for the network's released one."""
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(folder.parent))
    old = {n: t for n, t in trained.items() if not n.endswith("num_batches_tracked")}
    torch.save({**old, "classifier.0.num_batches_tracked": torch.tensor(3)}, folder / "saved")
    digest = hashlib.sha256((folder / "saved").read_bytes()).hexdigest()[:8]
    path = (folder / "saved").rename(folder / f"{NETWORK}-{digest}.pth")
    url = f"https://127.0.0.1/models/{path.name}"
    entry = dataclasses.replace(weights(NETWORK), url=url)
    release(monkeypatch, NETWORK, entry)
    monkeypatch.chdir(tmp_path)
    return path


def test_a_networks_weights_are_converted(released: Path, trained: dict[str, Tensor]) -> None:
    path = convert(NETWORK)
    assert path == Path(f"{NETWORK}-IMAGENET1K_V1.safetensors")
    loaded = model(NETWORK, weights=path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in trained.items())
    assert "classifier.0.num_batches_tracked" not in read_weights(path)
    texts = metadata(path)
    assert texts["network"] == NETWORK
    assert texts["weights"] == "IMAGENET1K_V1"
    assert texts["source"] == released.name
    assert texts["sha256"] == hashlib.sha256(released.read_bytes()).hexdigest()
    assert "ImageNet" in texts["licence"]


def test_a_file_of_a_released_name_is_known(released: Path) -> None:
    by_name, by_file = convert(NETWORK, out="a.safetensors"), convert(released)
    assert by_file == Path(f"{NETWORK}-IMAGENET1K_V1.safetensors")
    assert metadata(by_file) == metadata(by_name)
    ours, theirs = read_weights(by_file), read_weights(by_name)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_another_file_keeps_its_names_and_tensors(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    table = {"x.fpn.inner_blocks.0.weight": shared, "tied": shared, "half": shared[::2].half()}
    torch.save(table, "mine.pt")
    digest = hashlib.sha256(Path("mine.pt").read_bytes()).hexdigest()[:8]
    path = convert(Path("mine.pt").rename(f"mine-{digest}.pt"))
    assert path == Path("mine.safetensors")
    loaded = read_weights(path)
    assert loaded.keys() == table.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in table.items())
    assert loaded["half"].dtype == torch.float16
    assert set(metadata(path)) == {"source", "sha256", "tensors_sha256"}
    assert [entry.suffix for entry in tmp_path.glob("*mine*")] in (
        [".pt", ".safetensors"],
        [".safetensors", ".pt"],
    )


def test_names_may_end_in_any_eight_digits() -> None:
    torch.save({"a": torch.ones(2)}, "run-20240101.pth")
    assert convert("run-20240101.pth") == Path("run-20240101.safetensors")
    assert convert("run-20240101.pth", out="a-0123abcd.safetensors").is_file()
    assert torch.equal(read_weights("a-0123abcd.safetensors")["a"], torch.ones(2))


def test_an_interrupted_write_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch) -> None:
    save_tensors({"a": torch.ones(2)}, "a.safetensors")
    before = Path("a.safetensors").read_bytes()

    def full(_: int) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="full"):
            save_tensors({"a": torch.zeros(2)}, "a.safetensors")
    assert Path("a.safetensors").read_bytes() == before
    assert [path.name for path in Path().glob(".*")] == []
    save_tensors({"a": torch.zeros(2)}, "a.safetensors")
    assert Path("a.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("source", "name", "out", "said"),
    [
        ("mobilenet_v3_smal", None, None, "did you mean 'mobilenet_v3_small'"),
        (NETWORK, "IMAGENET1K_V3", None, "did you mean 'IMAGENET1K_V1'"),
        (NETWORK, None, "a.pth", "must end in .safetensors"),
        (NETWORK, None, "absent/a.safetensors", "must be in an existing folder"),
        ("absent.pth", None, None, "must name an existing file"),
        ("absent.bin", None, None, r"must be a network of the zoo or a \.pt or \.pth file"),
        ("absent.pth", "DEFAULT", None, "is a file; leave it out"),
        ("mobilenet_v3_small_075", None, None, "there are none for it"),
        ("digits", None, None, r"come with convlens, take model\('digits'\)"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    source: str, name: str | None, out: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        convert(source, name, out)
    assert list(Path().glob("*.safetensors")) == []


def test_a_released_name_with_another_networks_tensors_is_refused(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = weights(NETWORK)
    release(monkeypatch, "resnet18", dataclasses.replace(entry, network="resnet18"))
    with pytest.raises(ValueError, match="must fit the network ResNet"):
        convert("resnet18")
    assert list(Path().glob("*.safetensors")) == []


def test_the_command_says_what_it_wrote(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = command(
        capsys, "convert", NETWORK, "--weights", "IMAGENET1K_V1", "--out", "b.safetensors"
    )
    size = Path("b.safetensors").stat().st_size
    first, second, third = output.splitlines()
    assert first == f"b.safetensors: {size:,} bytes, {NETWORK} IMAGENET1K_V1"
    assert second.split() == [
        *("from", f"{released.name},", "sha256"),
        hashlib.sha256(released.read_bytes()).hexdigest(),
    ]
    assert "ImageNet" in third
    torch.save({"a": torch.ones(1)}, "mine.pth")
    assert len(command(capsys, "convert", "mine.pth").splitlines()) == 2


def command(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert not ended.value.code
    return capsys.readouterr().out
