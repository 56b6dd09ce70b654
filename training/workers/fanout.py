"""Independent shards of work, shared among workers: local processes, or a Ray cluster.

```
run_shards(make, todo, workers=2, on_done=note)                       two local processes
run_shards(make, todo, workers=64, address="auto", on_done=note)      a running Ray cluster
run_shards(make, todo, here=True, on_done=note)                       this process, without starting another
```

One shard is one call of `make` in a worker. It writes its own file, whole or not at all; its result goes to `on_done`
in this process, which records it in a manifest. A stopped run therefore loses only the shards in work, and the next run
gets those that are left. A shard that fails is logged, counted and skipped. A full disk stops the run, since every
later shard would fail too.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from egotwin_model.errors import EgoTwinError
from training.workers.stopping import sigterm_as_interrupt

log = logging.getLogger("egotwin.fanout")

Item = TypeVar("Item")
Result = TypeVar("Result")

POOL_WORKERS = 2  # up to this many local workers use a process pool, which starts faster than Ray
AHEAD = 2  # shards submitted per worker, so that none waits for its next one
TRIES = 2  # for an item whose worker died
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Report(Generic[Item]):
    """The outcome of a run: the number of finished shards, and the failed ones as (item, reason)."""

    done: int = 0
    broken: list[tuple[Item, str]] = field(default_factory=list)


def run_shards(
    make: Callable[[Item], Result],
    todo: Sequence[Item],
    *,
    workers: int = 1,
    address: str | None = None,
    here: bool = False,
    on_done: Callable[[Item, Result], None],
    on_broken: Callable[[Item, str], None] | None = None,
) -> Report[Item]:
    """Calls `make` once for each item of `todo`, `workers` at a time, in any order.

    Args:
        make: a module's function (or `functools.partial` of one); runs in another process.
        todo: the items that are left.
        workers: processes at a time.
        address: of a Ray cluster ("auto": that of this machine). None: local workers, by Ray for more than
            `POOL_WORKERS` where it is installed, else by a process pool.
        here: run in this process, one item after the other, for few small shards; a crash in a library ends the run.
        on_done: called here with each item and what `make` returned for it.
        on_broken: called here with each item that failed and why; it is logged either way.

    Raises:
        OSError: the disk is full; ConnectionError: there is no Ray cluster at `address`.
        KeyboardInterrupt: Ctrl-C, or (`Stopped`) SIGTERM; workers are ended, finished shards have been reported.
    """
    if workers < 1:
        raise ValueError(f"{workers} workers: at least one has to do the work")
    report: Report[Item] = Report()

    def take(item: Item, outcome: Callable[[], Result]) -> None:
        try:
            result = outcome()
        except Exception as error:
            if is_full_disk(error):
                raise
            reason = f"{type(error).__name__}: {error}"
            log.warning("%s is skipped: %s", item, reason)
            report.broken.append((item, reason))
            if on_broken is not None:
                on_broken(item, reason)
        else:
            report.done += 1
            on_done(item, result)

    with sigterm_as_interrupt():
        if here:
            for item in todo:
                take(item, partial(make, item))
        elif todo and _ray_is_up(workers, address):
            _by_ray(make, list(todo), workers, take)
        else:
            _by_pool(make, list(todo), workers, take)
    return report


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that the disk, or a quota, is full."""
    return isinstance(error, OSError) and error.errno in FULL_DISK


def run_command(name: str, work: Callable[[], int]) -> int:
    """Calls `work`, the body of a command that makes shards, and prints in one line why it ended early.

    Returns:
        The exit status: `work`'s own; 1 the disk is full, 2 bad input, 130 interrupted.
    """
    try:
        return work()
    except (EgoTwinError, ConnectionError) as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if not is_full_disk(error):
            raise
        print(f"{name}: {error}; free some space, the same command then resumes", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped; the same command resumes", file=sys.stderr)
        return 130


def _by_pool(make: Callable[[Any], Any], todo: list[Any], workers: int, take: Callable[[Any, Any], None]) -> None:
    """A pool of spawned processes; if one dies, the items in work are tried again, each in a process of its own."""
    left = todo
    while left:
        suspects, left = _pool_round(make, left, workers, take)
        for item in suspects:  # most of them only shared the pool with the item that killed its worker
            if any(not _pool_round(make, [item], 1, take)[0] for _ in range(TRIES)):
                continue
            take(item, _died)


def _died() -> None:
    raise RuntimeError("its worker process died repeatedly (killed, out of memory, or a crash in a library)")


def _pool_round(
    make: Callable[[Any], Any], todo: list[Any], workers: int, take: Callable[[Any, Any], None]
) -> tuple[list[Any], list[Any]]:
    """Works until all items are done or a worker dies; returns the items then in work and those not started."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(todo)), mp_context=context, initializer=_start_worker)
    running: dict[Future[Any], Any] = {}
    ahead, next_item = AHEAD * workers, 0
    try:
        while next_item < len(todo) or running:
            while next_item < len(todo) and len(running) < ahead:
                running[pool.submit(make, todo[next_item])] = todo[next_item]
                next_item += 1
            done = wait(running, return_when=FIRST_COMPLETED).done
            for job in sorted(done, key=lambda job: job.exception() is not None):  # finished items are reported first
                if isinstance(job.exception(), BrokenProcessPool):
                    return list(running.values()), todo[next_item:]
                take(running.pop(job), job.result)
    except BrokenProcessPool:  # it broke between two calls
        return list(running.values()), todo[next_item:]
    except BaseException:
        _end(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [], []


def _end(pool: ProcessPoolExecutor) -> None:
    """Ends the workers at once; shards in work have no final name yet, so no damaged file remains."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _start_worker() -> None:
    """Lets the parent handle Ctrl-C, and ends the worker with its parent, also when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _ray_is_up(workers: int, address: str | None) -> bool:
    """Connects to the cluster, or without an address starts Ray here where it is useful; False where it does not start.

    An existing connection is used, and closed at the end.
    """
    if address is None and (workers <= POOL_WORKERS or find_spec("ray") is None):
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage statistics are sent
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": False}
    if address is not None:
        ray.init(address=address, ignore_reinit_error=True, **quiet)
        return True
    try:
        ray.init(num_cpus=workers, include_dashboard=False, ignore_reinit_error=True, **quiet)
    except Exception as error:  # Ray raises nothing more specific for a node that does not start in time
        log.warning("Ray does not start here (%s): a process pool does the work instead", error)
        ray.shutdown()
        return False
    return True


def _by_ray(make: Callable[[Any], Any], todo: list[Any], workers: int, take: Callable[[Any, Any], None]) -> None:
    """Ray tasks, one CPU each, at most `workers` at a time; Ray retries the tasks of a node that dies."""
    import ray

    def work(item: Any) -> Any:  # Ray takes functions only, no partial objects
        return make(item)

    task = ray.remote(num_cpus=1, max_retries=1)(work)
    running: dict[Any, Any] = {}
    waiting: Iterator[Any] = iter(todo)
    try:
        for item in waiting:
            running[task.remote(item)] = item
            if len(running) >= workers:
                _take_next(ray, running, take)
        while running:
            _take_next(ray, running, take)
    except BaseException:
        for reference in running:
            ray.cancel(reference, force=True)
        raise
    finally:
        ray.shutdown()


def _take_next(ray: Any, running: dict[Any, Any], take: Callable[[Any, Any], None]) -> None:
    """Waits for one task; an exception inside it is raised as itself."""
    (reference,), _ = ray.wait(list(running), num_returns=1)

    def outcome() -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause or error from None

    take(running.pop(reference), outcome)
