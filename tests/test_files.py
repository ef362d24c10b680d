"""Files are whole at every moment, keep their mode, and are where a shell would put them."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image

from convlens.draw import Film
from convlens.files import cache_folder, expanded, sweep, whole, write_cached, write_whole
from convlens.learn.predicting.writing import _save
from convlens.zoo.weights.saving import save_tensors

ROOT = Path(__file__).parents[1]

POSIX = pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@POSIX
@pytest.mark.parametrize("kept", [0o600, 0o640, 0o400, 0o664, 0o755])
def test_a_file_keeps_its_mode(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(kept)
    with whole(path) as beside:
        assert mode(beside) & ~kept & 0o077 == 0  # nobody else may read it while it is written
        beside.write_text("new")
    assert (path.read_text(), mode(path)) == ("new", kept)


@POSIX
@pytest.mark.parametrize(("mask", "wanted"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_usual_mode(tmp_path: Path, mask: int, wanted: int) -> None:
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == wanted


@POSIX
def test_the_disk_holds_the_file_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace, here = os.fsync, os.replace, threading.get_ident()

    def note(what: str) -> None:
        if threading.get_ident() == here:  # a plan made in the background writes to the cache
            done.append(what)

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        note("folder" if is_folder else f"file of {os.fstat(descriptor).st_size}")
        sync(descriptor)

    def renamed(old: str, new: str) -> None:
        note("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write_whole(tmp_path / "a", b"1234567")
    assert done == ["file of 7", "rename", "folder"]
    done.clear()
    write_whole(tmp_path / "a", b"12", durable=False)
    assert done == ["rename"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_whatever_interrupts_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(type(error)):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@POSIX
def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link, hard = tmp_path / "far" / "b.txt", tmp_path / "a.txt", tmp_path / "c.txt"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to("far/b.txt")
    os.link(target, hard)
    write_whole(link, "new")
    assert link.is_symlink()
    assert (target.read_text(), mode(target), hard.read_text()) == ("new", 0o600, "old")
    assert os.listdir(tmp_path / "far") == ["b.txt"]
    (tmp_path / "d").symlink_to("far/not-yet")  # a link to a file that does not exist yet
    write_whole(tmp_path / "d", "first")
    assert (tmp_path / "far" / "not-yet").read_text() == "first"


@POSIX
def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, what in (("pipe", "a device, pipe"), ("folder", "a folder")):
        with pytest.raises(ValueError, match=rf"`path` .*{name}.* and is {what}"):
            write_whole(tmp_path / name, b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_folder_that_is_not_there_is_named_and_not_the_file_beside(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "absent" / "a.txt", b"")
    assert "a.txt" in str(caught.value)
    assert ".partial" not in str(caught.value)


def test_names_as_long_as_the_disk_takes(tmp_path: Path) -> None:
    for name in ("n" * 251 + ".png", "n" * 255, "." + "n" * 254):
        write_whole(tmp_path / name, b"long")
        assert (tmp_path / name).read_bytes() == b"long"
    with whole(tmp_path / "film.mp4") as beside:
        assert beside.suffix == ".mp4"


def test_threads_that_write_one_file_leave_one_whole(tmp_path: Path) -> None:
    contents = [bytes([i]) * 100_000 for i in range(8)]
    threads = [
        threading.Thread(target=write_whole, args=(tmp_path / "a", content)) for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_bytes() in contents
    assert os.listdir(tmp_path) == ["a"]


@POSIX
def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    code = (
        "import os, sys; from convlens.files import whole\n"
        "with whole(sys.argv[1]) as beside: os.kill(os.getpid(), 9)"
    )
    for place in ("a.png", "deep/b.mp4"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / place)], check=False)
    assert len(list(tmp_path.rglob(".partial-*"))) == 2
    (tmp_path / ".partial-notes.txt").write_text("mine")
    with whole(tmp_path / "c.png") as beside:
        sweep(tmp_path)
        assert beside.exists()  # its process is alive
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        *(".partial-notes.txt", "c.png", "deep")
    ]


@POSIX
def test_the_home_folder_is_written_as_in_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert expanded("~/seen") == expanded(Path("~/seen")) == tmp_path / "seen"
    assert expanded("~") == tmp_path
    for kept in ("seen", "./~/seen", "a/~/b", "~$draft.png", "/~"):
        assert expanded(kept).absolute() == Path(kept).absolute()
        assert expanded(expanded(kept)) == expanded(kept)
    with pytest.raises(ValueError, match=r"`path` .*~nobody-of-this-name is unknown"):
        expanded("~nobody-of-this-name/seen")
    Path("~odd/b").mkdir(parents=True)
    assert expanded("~odd/b") == Path("~odd/b")


# All writers


def film(path: Path) -> None:
    with Film(path.with_suffix("")) as made:
        made.write(Image.new("RGB", (32, 24)), 0.0)


WRITERS = {
    "a.safetensors": lambda path: save_tensors({"a": torch.ones(2)}, path),
    "a.png": lambda path: _save(Image.new("RGB", (4, 3)), path, "PNG"),
    "a.o": lambda path: write_cached(path, b"code"),
    "a.mp4": film,
}


@POSIX
@pytest.mark.parametrize("name", WRITERS)
def test_whatever_is_written_again_stays_private(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    path.chmod(0o600)
    before = os.umask(0o022)
    try:
        WRITERS[name](path)
    finally:
        os.umask(before)
    assert path.read_bytes() != b"old"
    assert (mode(path), os.listdir(tmp_path)) == (0o600, [name])


def test_files_are_renamed_in_one_place() -> None:
    renaming = {
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "bench", "tests/data")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"os\.(replace|rename)|shutil\.move|\.rename\(", path.read_text())
    }
    assert renaming == {"src/convlens/files.py"}


def test_the_cache_is_one_folder_and_does_without_what_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = cache_folder.__wrapped__()
    if sys.platform == "linux":
        assert found == tmp_path / "convlens"
    write_cached(tmp_path / "new" / "a.o", b"code")
    assert (tmp_path / "new" / "a.o").read_bytes() == b"code"
    write_cached(tmp_path / "new" / "a.o" / "b", b"code")  # its folder is a file
    write_cached(tmp_path / "new", b"code")  # it is a folder
    assert (tmp_path / "new" / "a.o").read_bytes() == b"code"


def test_the_first_file_of_a_cache_removes_what_dead_processes_left(tmp_path: Path) -> None:
    left = tmp_path / "kernels" / ".partial-4194305-0123abcd.o"
    left.parent.mkdir()
    left.write_bytes(b"half")
    write_cached(left.parent / "a.o", b"code")
    assert [path.name for path in left.parent.iterdir()] == ["a.o"]
