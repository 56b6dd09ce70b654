"""Shards made by many workers: each once, failed ones skipped, a dying worker or a full disk survived."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import pytest

from egotwin_model.errors import RecordingError
from training.workers import fanout
from training.workers.fanout import run_command, run_shards
from training.workers.stopping import Stopped

from ...shared_data import missing_extra


def touch(folder, item):
    """Stands for making a shard: fails, dies or fills the disk where the item says so."""
    if item == "fails":
        raise ValueError("this one is broken")
    if item == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "full":
        raise OSError(28, "No space left on device")
    if item == "once" and not (folder / "tried").exists():
        (folder / "tried").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"{item}.done").touch()
    return f"{item} by {os.getpid()}"


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_are_made_once_each_and_broken_ones_skipped(workers, tmp_path):
    done, broken = {}, {}
    items = ["a", "fails", "b", "c", "dies", "d", "once", "e"]
    report = run_shards(
        partial(touch, tmp_path), items, workers=workers, on_done=done.__setitem__, on_broken=broken.__setitem__
    )
    assert sorted(done) == ["a", "b", "c", "d", "e", "once"]
    assert report.done == 6
    assert sorted(broken) == ["dies", "fails"] == sorted(item for item, _ in report.broken)
    assert "this one is broken" in broken["fails"]
    assert "died" in broken["dies"]
    assert all(str(os.getpid()) not in text for text in done.values())


def test_a_full_disk_stops_the_run(tmp_path):
    done = {}
    with pytest.raises(OSError, match="No space left"):
        run_shards(partial(touch, tmp_path), ["a", "full", *map(str, range(50))], workers=1, on_done=done.__setitem__)
    assert "a" in done
    assert len(done) < 10


def test_shards_may_be_made_in_this_process(tmp_path):
    done, broken = {}, {}
    make = partial(touch, tmp_path)
    report = run_shards(
        make, ["a", "fails", "b"], here=True, on_done=done.__setitem__, on_broken=broken.__setitem__
    )  # fmt: skip
    assert done == {item: f"{item} by {os.getpid()}" for item in "ab"}
    assert report.broken == [("fails", "ValueError: this one is broken")] == list(broken.items())
    with pytest.raises(OSError, match="No space left"):
        run_shards(make, ["full", "never"], here=True, on_done=done.__setitem__)
    assert not (tmp_path / "never.done").exists()


def test_the_end_of_a_command_is_reported_in_a_line(capsys):
    def raising(error):
        def work():
            raise error

        return work

    assert run_command("egotwin x", lambda: 7) == 7
    for error, status, said in (
        (RecordingError("no clips here"), 2, "egotwin x: RecordingError: no clips here"),
        (ConnectionError("no cluster"), 2, "egotwin x: ConnectionError: no cluster"),
        (OSError(28, "No space left on device"), 1, "free some space, the same command then resumes"),
        (Stopped(), 130, "stopped; the same command resumes"),
    ):
        assert run_command("egotwin x", raising(error)) == status
        assert said in capsys.readouterr().err
    with pytest.raises(PermissionError):
        run_command("egotwin x", raising(PermissionError("not yours")))


def test_zero_workers_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        run_shards(str, ["a"], workers=0, on_done={}.__setitem__)


def test_nothing_to_do_starts_nothing():
    assert run_shards(str, [], workers=2, on_done={}.__setitem__).done == 0


def wait_for_it(seconds):
    time.sleep(seconds)
    return os.getpid()


def test_two_workers_work_at_the_same_time():
    """Two shards that only wait overlap: both have begun before either is done."""
    spans = []

    def note(item, pid):
        spans.append((pid, time.monotonic() - item, time.monotonic()))

    run_shards(wait_for_it, [3.0, 3.0], workers=2, on_done=note)
    (one, begun_one, done_one), (other, begun_other, done_other) = spans
    assert one != other
    assert max(begun_one, begun_other) < min(done_one, done_other)


def test_ray_does_the_same(tmp_path, monkeypatch, caplog):
    pytest.importorskip("ray", reason=missing_extra("ray"))
    monkeypatch.setattr(fanout, "POOL_WORKERS", 0)
    done, broken = {}, {}
    report = run_shards(
        partial(touch, tmp_path), ["a", "fails", "b", "c"], workers=2, on_done=done.__setitem__,
        on_broken=broken.__setitem__,
    )  # fmt: skip
    assert sorted(done) == ["a", "b", "c"]
    assert report.broken == [("fails", broken["fails"])]
    assert broken["fails"] == "ValueError: this one is broken"
    if "Ray does not start here" in caplog.text:
        pytest.skip("Ray's node did not start within its own 30 s; the process pool did the work")
