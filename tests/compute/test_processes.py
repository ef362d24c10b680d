"""Threads, forked and spawned processes, and caches in any state: results are always right."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cases.methods import DIRECT

# They share two cores and compile, so they would only wait for each other.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("compute processes")]

ROOT = Path(__file__).parents[2]


def start(task: str, *words: str, **environment: str) -> subprocess.Popen[str]:
    """Start a process that runs a task of `compute_work`."""
    path = os.pathsep.join([str(ROOT), *(p for p in sys.path if p)])
    settings = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS",)}
    settings |= {"PYTHONPATH": path} | environment
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.running.compute_work", task, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=settings,
        cwd=ROOT,
    )


def ended(process: subprocess.Popen[str]) -> str:
    """Return what a process printed; raise with its errors if it failed."""
    try:
        out, err = process.communicate(timeout=250)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after 250 s: {err[-2000:]}") from None
    assert process.returncode == 0, f"ended with {process.returncode}: {err[-3000:]}"
    return out


def run(task: str, *words: str, **environment: str) -> str:
    return ended(start(task, *words, **environment))


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that one process has used."""
    folder = tmp_path_factory.mktemp("cache")
    run("measured", XDG_CACHE_HOME=str(folder))
    return folder


def test_many_threads_get_their_own_results() -> None:
    run("threads")


@pytest.mark.parametrize("task", ["fork", pytest.param("fork of more", marks=pytest.mark.slow)])
def test_a_forked_child_is_right_after_its_parent_worked_in_parallel(task: str) -> None:
    run(task)


def test_children_of_all_kinds_answer_by_every_name() -> None:
    run("children")


def test_a_fork_while_a_plan_is_made_leaves_nothing_locked() -> None:
    run("forks")


def test_spawned_children_are_right() -> None:
    run("spawn")


def test_one_thread_is_enough() -> None:
    run("check", OMP_NUM_THREADS="1")


@pytest.mark.skipif(not DIRECT, reason='method="direct" is not there yet')
def test_direct_gives_the_same_bits_with_any_number_of_threads() -> None:
    digests = run("bits", "1", "2", "3", "1").split()
    assert len(digests) == 4
    assert len(set(digests)) == 1


@pytest.mark.parametrize(
    "place", ["/proc/nowhere", pytest.param("not/absolute", marks=pytest.mark.slow)]
)
def test_a_cache_folder_nowhere(place: str) -> None:
    """Even root cannot create the first; the second is relative, which the standard forbids."""
    run("measured", XDG_CACHE_HOME=place)


@pytest.mark.slow
def test_a_file_where_our_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "convlens").write_text("mine")
    run("measured", XDG_CACHE_HOME=str(tmp_path))
    assert (tmp_path / "convlens").read_text() == "mine"


@pytest.mark.slow
def test_a_cache_folder_that_may_only_be_read(warm: Path, tmp_path: Path) -> None:
    """For root the mode has no effect; for all others this is a read-only home."""
    folder = tmp_path / "cache"
    shutil.copytree(warm, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        run("measured", XDG_CACHE_HOME=str(folder))
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)


def test_a_full_disk(tmp_path: Path) -> None:
    run("full disk", XDG_CACHE_HOME=str(tmp_path))


def noise(data: bytes) -> bytes:
    return np.random.default_rng(len(data)).bytes(len(data))


def one_bit_in_a_hundred(data: bytes) -> bytes:
    values = np.frombuffer(data, np.uint8).copy()
    values[::13] ^= 0x10
    return values.tobytes()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "noise": noise,
    "nothing": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "a bit here and there": one_bit_in_a_hundred,
    "another file": lambda data: b'{"seconds": {"torch": -1, "shift": "soon"}}',
    "a list": lambda data: b"[" * 100_000,
}


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4))])
def test_damaged_files_in_the_cache(warm: Path, tmp_path: Path, first: int) -> None:
    """Damage each compiled kernel and measurement in the next of the ways from `first` on.

    A damaged text is written again with all files next to it, so the first run leaves it intact.
    """
    folder = tmp_path / "cache"
    shutil.copytree(warm, folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and (first or p.suffix != ".py"))
    for at, path in enumerate(files):
        damage = list(DAMAGES.values())[(first + at) % len(DAMAGES)]
        path.write_bytes(damage(path.read_bytes()))
    run("measured", XDG_CACHE_HOME=str(folder))


@pytest.mark.slow
def test_folders_where_files_should_be(warm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(warm, folder)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.unlink()
        path.mkdir()
        (path / "stone").write_text("in the way")
    run("measured", XDG_CACHE_HOME=str(folder))


@pytest.mark.slow
def test_two_processes_fill_one_cache_at_once(tmp_path: Path) -> None:
    both = [start("more measured", XDG_CACHE_HOME=str(tmp_path)) for _ in range(2)]
    for process in both:
        ended(process)


def test_a_wrong_answer_in_another_process_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"-1.0 at .*, expected 0.0 within"):
        run("wrong")
