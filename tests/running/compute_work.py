"""What a process of its own computes to show that it is right: `python -m THIS_MODULE TASK`."""

import concurrent.futures
import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import scipy.signal
import torch

import convlens
from convlens.compute import conv, max_pool, plan
from convlens.signal import ndimage
from tests.cases.methods import (
    LARGER,
    check_near,
    exact_methods_of,
    is_exact,
    methods_of,
    planned_of,
)
from tests.cases.problems import Case
from tests.oracles.compute import Numbers, arrays_of, expected_of

PATIENCE = 200
"""In seconds: a forked process that takes longer waits for threads that it does not have."""

FEW = [c for c in LARGER if c.name in ("a dense layer", "a long filter", "the largest of many")]
QUICK = [c for c in FEW if c.operation == "max_pool"]
"""Measured and compiled like any other, and sooner."""

MORE = [
    *FEW,
    *(c for c in LARGER if c.name in ("a depthwise layer", "a decoder", "the mean of many")),
]


def check(cases: list[Case] = FEW, measure: bool = False) -> None:
    """Raise unless every method is right on some problems of whole numbers in float32."""
    for case in cases:
        parts = arrays_of(case)
        expected = expected_of(case, parts[0], parts[1], parts[2])
        total = expected_of(case, np.abs(parts[0]), np.abs(parts[1]), np.abs(parts[2]))
        x, weight, bias = (part.astype(np.float32) for part in parts)
        planned = planned_of(case, x, weight, bias)
        for method in methods_of(planned):
            options = {"measure": measure and method == "auto"}
            found = planned_of(case, x, weight, bias, method, **options)(x)
            exact = is_exact(method, planned) and case.operation != "avg_pool"
            if exact:
                np.testing.assert_array_equal(found, expected, err_msg=method)
            else:
                check_near(found, expected, total, 160, "float32", is_exact(method, planned))


def check_threads() -> None:
    """Raise unless many threads, with one plan and with none, each get their own results.

    The results are large enough to come from the memory a plan uses again, and all are kept.
    """
    sys.setswitchinterval(1e-5)
    rng = np.random.default_rng(1)
    weight = rng.integers(-4, 5, (8, 4, 3, 3)).astype(np.float32)
    inputs = [rng.integers(-4, 5, (1, 4, 96, 96)).astype(np.float32) for _ in range(8)]
    shared = {m: plan(inputs[0], weight, padding=1, method=m) for m in threaded(weight)}
    expected = [conv(x, weight, padding=1, method="torch") for x in inputs]
    wrong: list[str] = []

    def work(at: int, method: str, once: Callable[[Numbers], object]) -> None:
        for _ in range(3):
            kept = [once(inputs[(at + j) % 8]) for j in range(8)]
            for j, y in enumerate(kept):
                if not np.array_equal(np.asarray(y), expected[(at + j) % 8]):
                    wrong.append(method)

    def alone(x: Numbers, method: str) -> object:
        return conv(x, weight, padding=1, method=method)

    for method, planned in shared.items():
        for once in (planned, lambda x, m=method: alone(x, m)):
            threads = [
                threading.Thread(target=work, args=(at, method, once), daemon=True)
                for at in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    if wrong:
        raise AssertionError(f"{len(wrong)} wrong results: {sorted(set(wrong))}")


def threaded(weight: Numbers) -> list[str]:
    """Return the methods that must agree bit for bit on whole numbers."""
    planned = plan(((1, 4, 96, 96), "float32"), weight, padding=1, measure=False)
    return [m for m in exact_methods_of(planned) if m not in ("auto", "reference")]


def check_fork(cases: list[Case] = FEW) -> None:
    """Raise unless a child forked after work in parallel is right, and the parent after it."""
    torch.set_num_threads(2)
    check(cases)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            check(cases)
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.waitstatus_to_exitcode(status):
                raise AssertionError(f"the child ended with {status}")
            check()
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child hangs")


def every_name() -> None:
    """Raise unless each of the names answers, forward and back, and torch beside them."""
    rng = np.random.default_rng(3)
    signal.alarm(PATIENCE)
    long, taps = rng.standard_normal(5000), rng.standard_normal(700)
    image, kernel = rng.standard_normal((40, 50)), rng.standard_normal((7, 7))
    np.testing.assert_allclose(convlens.signal.convolve(long, taps), np.convolve(long, taps))
    found = ndimage.convolve(image, kernel, mode="constant")
    expected = scipy.signal.convolve(image, kernel, mode="same", method="direct")
    np.testing.assert_allclose(found, expected, atol=1e-9)
    x, weight = torch.randn(2, 16, 40, 40), torch.randn(32, 16, 3, 3)
    y = torch.einsum("nchwij,kcij->nkhw", x.unfold(2, 3, 1).unfold(3, 3, 1), weight)
    torch.testing.assert_close(conv(x, weight), y, rtol=1e-4, atol=1e-4)
    for method in ("torch", "fft_library", "shift", "winograd2"):
        torch.testing.assert_close(conv(x, weight, method=method), y, rtol=1e-3, atol=1e-3)
    assert torch.equal(max_pool(x, 2), x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)))
    leaf = weight.clone().requires_grad_()
    (back,) = torch.autograd.grad(conv(x, leaf).square().sum(), leaf)
    (same,) = torch.autograd.grad(torch.nn.functional.conv2d(x, leaf).square().sum(), leaf)
    torch.testing.assert_close(back, same, rtol=1e-3, atol=1e-2)
    layers = torch.nn.Sequential(torch.nn.Conv2d(16, 32, 3), torch.nn.BatchNorm2d(32)).eval()
    fast = convlens.accelerate(layers, x) if NETWORK is None else NETWORK
    assert fast(x).shape == (2, 32, 38, 38)
    signal.alarm(0)


NETWORK: torch.nn.Module | None = None
"""Accelerated by the parent."""


def every_name_in_a_grandchild() -> None:
    context = multiprocessing.get_context("fork")
    child = context.Process(target=every_name)
    child.start()
    child.join()
    assert child.exitcode == 0
    every_name()


def check_children() -> None:
    """Raise unless forked children of all kinds answer after their parent worked in parallel."""
    global NETWORK
    torch.set_num_threads(2)
    every_name()
    x = torch.randn(2, 16, 40, 40)
    NETWORK = convlens.accelerate(torch.nn.Sequential(torch.nn.Conv2d(16, 32, 3)), x)
    context = multiprocessing.get_context("fork")
    for task in (every_name, every_name_in_a_grandchild):
        child = context.Process(target=task)
        child.start()
        child.join(3 * PATIENCE)
        if child.exitcode != 0:
            child.kill()
            raise AssertionError(f"{task.__name__} in a child: {child.exitcode}")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        for done in [pool.submit(every_name) for _ in range(2)]:
            done.result(3 * PATIENCE)
    assert torch.get_num_threads() == 2
    every_name()


def check_forks_while_plans_are_made() -> None:
    """Raise unless children forked at any moment answer what the parent's thread is about to."""
    torch.set_num_threads(2)
    for size in range(20, 28):
        x, weight = torch.randn(1, 8, size, size), torch.randn(8, 8, 3, 3)
        for _ in range(22):
            expected = conv(x, weight)
        time.sleep(0.015 * (size - 20))
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            close = torch.allclose(conv(x, weight), expected, rtol=1e-3, atol=1e-3)
            os._exit(0 if close else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            raise AssertionError(f"the child for {size} ended with {code}")


def check_spawn() -> None:
    """Raise unless two spawned processes are right after the parent has worked."""
    check()
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=check) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        if child.exitcode:
            raise AssertionError(f"a child ended with {child.exitcode}")


def check_on_a_full_disk() -> None:
    """Raise unless all is right where no file can grow: EFBIG stands for ENOSPC."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    check(QUICK, measure=True)


def print_bits(*counts: str) -> None:
    """Print a digest of what method="direct" gives on random numbers by so many threads each."""
    for count in counts:
        torch.set_num_threads(int(count))
        digest = hashlib.sha256()
        for case in LARGER:
            rng = np.random.default_rng(2)
            shapes = [part.shape for part in arrays_of(case)]
            parts = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
            planned = planned_of(case, parts[0], parts[1], parts[2], "direct")
            digest.update(planned(parts[0]).tobytes())
        print(digest.hexdigest())


def check_what_is_wrong() -> None:
    """Raise: the expected answers are of other problems."""
    right = expected_of
    globals()["expected_of"] = lambda *parts: right(*parts) + 1
    check()


TASKS: dict[str, Callable[..., None]] = {
    "check": check,
    "measured": lambda: check(QUICK, measure=True),
    "more measured": lambda: check(MORE, measure=True),
    "threads": check_threads,
    "fork": check_fork,
    "fork of more": lambda: check_fork(MORE),
    "children": check_children,
    "forks": check_forks_while_plans_are_made,
    "spawn": check_spawn,
    "full disk": check_on_a_full_disk,
    "bits": print_bits,
    "wrong": check_what_is_wrong,
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
