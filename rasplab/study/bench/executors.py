"""Where many runs are done: processes of this machine, or a Ray cluster.

A pool takes work, what to do it on, and how many at once; it gives the results as they come. Each
process has one thread of torch, wherever it is: the number of threads decides the order of sums,
and with it the last bits. Nobody's leaving, however sudden, keeps a process of a pool alive.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from threading import Thread
from typing import TypeVar

from rasplab.base.errors import RaspError, RaspValueError

Job, Result = TypeVar("Job"), TypeVar("Result")


def local(work: Callable[[Job], Result], todo: list[Job], workers: int | None) -> Iterator[Result]:
    """Results as they come, from processes of this machine: as many as cores, or `workers`.

    Raises RaspError when a process is killed.
    """
    if not todo:
        return
    count = min(workers or os.cpu_count() or 1, len(todo))
    pool = ProcessPoolExecutor(count, get_context("spawn"), _start)
    try:
        with _no_interrupts():
            waiting = [pool.submit(work, job) for job in todo]
        for future in as_completed(waiting):
            yield future.result()
    except BrokenProcessPool:
        raise RaspError(
            "a process was killed, perhaps for want of memory",
            hint="run it again, it goes on; fewer workers take less",
        ) from None
    finally:
        for process in list((pool._processes or {}).values()):  # those that are still at work
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes started inside hear no Ctrl-C: who started them does, and ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    _one_thread()


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, however it comes; then end."""
    connection.wait([parent_process().sentinel])
    os._exit(1)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def ray_cluster(
    work: Callable[[Job], Result], todo: list[Job], workers: int | None
) -> Iterator[Result]:
    """Results as they come, from the Ray cluster that RAY_ADDRESS names, or else from one that is
    started here and ends with the sweep; at most `workers` runs at once, by default as many as it
    has cores. The cluster's machines need rasplab, in the same versions.

    Raises RaspValueError without Ray, RaspError where the cluster fails.
    """
    if not todo:
        return
    ray = _ray()
    ours = not ray.is_initialized()
    left, waiting = todo[::-1], []
    try:
        if ours:
            _connect(ray)
        remote = ray.remote(num_cpus=1)(_alone)
        while left or waiting:
            while left and len(waiting) < (workers or len(todo)):
                waiting.append(remote.remote(work, left.pop()))
            ready, waiting = ray.wait(waiting)
            yield from ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise _failed("fails", error) from None
    finally:
        for task in waiting if ray.is_initialized() else ():
            ray.cancel(task, force=True)
        if ours:
            ray.shutdown()


def _ray():
    """The module. Raises RaspValueError where it is not installed."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        import ray
    except ImportError:
        raise RaspValueError("ray is not installed", hint="pip install 'rasplab[ray]'") from None
    return ray


def _connect(ray) -> None:
    """Join the cluster, or start one. Raises RaspError where that fails."""
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except Exception as error:  # Ray raises bare ones, of a start that takes too long say
        raise _failed("does not answer", error) from None


def _failed(how: str, error: Exception) -> RaspError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return RaspError(
        f"the Ray cluster {how}: {reason}",
        hint="run the sweep again, it goes on; RAY_ADDRESS names the cluster",
    )


def _alone(work: Callable[[Job], Result], job: Job) -> Result:
    _one_thread()
    return work(job)


POOLS = {"local": local, "ray": ray_cluster}
