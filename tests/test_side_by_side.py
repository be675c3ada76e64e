"""Files side by side, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import time

import pytest
from kit.apart_work import job

from josiecodec_cli.options import threads_of_each
from josiecodec_cli.progress import Progress, Shares
from josiecodec_cli.side_by_side import one_by_one, side_by_side


@pytest.fixture
def jobs(tmp_path):
    for name, seconds in (("a", "0.6"), ("b", "no number"), ("c", "0"), ("d", "0.6")):
        (tmp_path / name).write_text(seconds)
    return [(tmp_path / name, tmp_path / "out" / name) for name in "abcd"]


def test_outcomes_are_those_of_one_by_one_and_come_in_order(jobs):
    shares = []
    alone = list(one_by_one(jobs, job, lambda *_: None, isolated=False))
    for _, end in jobs:
        end.unlink(missing_ok=True)
    beside = list(side_by_side(jobs, job, lambda number, share: shares.append((number, share)), 2))
    assert [o.result and o.result["seconds"] for o in beside] == [0.6, None, 0.0, 0.6]
    assert [o.result and o.result["seconds"] for o in alone] == [0.6, None, 0.0, 0.6]
    assert [o.warnings for o in beside] == [o.warnings for o in alone]
    assert beside[0].warnings == ["a is slow"]
    assert "no number" in str(beside[1].error)
    assert sorted(end.name for _, end in jobs if end.exists()) == ["a", "c", "d"]
    processes = {o.result["process"] for o in beside if o.result}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert {(number, share) for number in range(4) for share in (0.0,)} <= set(shares)
    assert (3, 0.5) in shares


def test_who_stops_listening_ends_all_processes(jobs):
    jobs[0][0].write_text("0")
    jobs[3][0].write_text("1000")
    began = time.monotonic()
    with contextlib.closing(side_by_side(jobs, job, lambda *_: None, 4)) as outcomes:
        pid = next(outcomes).result["process"]
    assert time.monotonic() - began < 40
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not jobs[3][1].exists()


def test_shares_add_up_and_the_last_begun_is_shown():
    progress = Progress(3, "file", quiet=True)
    shares = Shares(progress, ["a", "b", "c"])
    shares(0, 0.0)
    shares(1, 0.0)
    assert progress.doing == "b"
    shares(1, 0.5)
    shares(1, 0.25)  # never back
    shares(0, 1.0)
    assert progress.done == 1.5


def test_threads_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [threads_of_each(count) for count in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
