"""Where many runs are done: processes of this machine, or a Ray cluster.

An executor takes a function, the jobs to call it on, and how many may run at once; it yields the
results in the order in which they finish. Every process uses one torch thread, wherever it runs:
the number of threads decides the order of sums, and with it the last bits. Workers exit when the
parent dies, even by SIGKILL.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from threading import Thread
from typing import Any, Protocol, TypeVar

from rasplab.base.errors import RaspError, RaspValueError

Job = TypeVar("Job")
Result = TypeVar("Result")


class Executor(Protocol):
    """Results of `work` on every job, as they finish; `workers` at once, None for the default."""

    def __call__(
        self, work: Callable[[Job], Result], jobs: Sequence[Job], workers: int | None
    ) -> Iterator[Result]:
        """Start the jobs and yield their results."""
        ...


def local(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int | None
) -> Iterator[Result]:
    """Results as they finish, from processes of this machine.

    work     a function that worker processes can import: of a module, not of another function
    workers  processes at once, by default as many as there are cores

    Raises RaspError when a process is killed, and what `work` raises.
    """
    if not jobs:
        return
    count = min(workers or os.cpu_count() or 1, len(jobs))
    pool = ProcessPoolExecutor(count, get_context("spawn"), _start)
    try:
        with _no_interrupts():
            futures = [pool.submit(work, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise RaspError(
            "a worker process was killed, perhaps for want of memory",
            hint="run it again to go on; fewer workers take less memory",
        ) from None
    finally:
        # shutdown alone would wait for the jobs in progress
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C: the process that started them handles it.

    A signal mask is inherited by child processes, so it is set only while they are started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> None:
    """Set up a worker process: watch its parent, use one torch thread."""
    Thread(target=_exit_with_parent, daemon=True).start()
    _one_thread()


def _exit_with_parent() -> None:
    """Wait for the end of the parent process, however it comes, and exit."""
    parent = parent_process()
    assert parent is not None, "only worker processes watch their parent"
    connection.wait([parent.sentinel])
    os._exit(1)  # the main thread may be deep in torch: no clean exit can be waited for


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def ray_cluster(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int | None
) -> Iterator[Result]:
    """Results as they finish, from a Ray cluster.

    The cluster is the one that RAY_ADDRESS names, or else one that is started here and ends with
    the sweep. Its machines need rasplab, in the same versions.

    workers  jobs at once, by default as many as the cluster has cores

    Raises RaspValueError without Ray, RaspError where the cluster fails, and what `work` raises.
    """
    if not jobs:
        return
    ray = _ray()
    started_here = not ray.is_initialized()
    # taken from the end, so in the order given
    remaining, running = list(jobs[::-1]), []
    try:
        if started_here:
            _connect(ray)
        remote = ray.remote(num_cpus=1)(_on_one_thread)
        while remaining or running:
            while remaining and len(running) < (workers or len(jobs)):
                running.append(remote.remote(work, remaining.pop()))
            ready, running = ray.wait(running)
            yield from ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise _cluster_fault("fails", error) from None
    finally:
        for future in running if ray.is_initialized() else ():
            ray.cancel(future, force=True)
        if started_here:
            ray.shutdown()


def _ray() -> Any:
    """The module, an optional dependency. Raises RaspValueError where it is not installed."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        import ray  # pyright: ignore[reportMissingImports] (an extra, not among the dev packages)
    except ImportError:
        raise RaspValueError("ray is not installed", hint="pip install 'rasplab[ray]'") from None
    return ray


def _connect(ray: Any) -> None:
    """Join the cluster, or start one. Raises RaspError where that fails."""
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except Exception as error:  # Ray raises bare exceptions, e.g. when a start takes too long
        raise _cluster_fault("does not answer", error) from None


def _cluster_fault(fault: str, error: Exception) -> RaspError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return RaspError(
        f"the Ray cluster {fault}: {reason}",
        hint="run the sweep again to go on; RAY_ADDRESS names the cluster",
    )


def _on_one_thread(work: Callable[[Job], Result], job: Job) -> Result:
    _one_thread()
    return work(job)


EXECUTORS: dict[str, Executor] = {"local": local, "ray": ray_cluster}
"""By the name that `--pool` takes."""
