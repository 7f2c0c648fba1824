import os
import re
import signal

import pytest

from modelwright.base.errors import BadValue, NotPermitted, StoreFailed
from modelwright.journal.lock import experiment_lock

HOLD = """
import sys, time
from pathlib import Path
from modelwright.journal.lock import experiment_lock
with experiment_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_holds_the_experiment_since_when(tmp_path, python):
    holder = python(HOLD, tmp_path, "digits")
    assert holder.stdout.readline().strip() == "held"
    with pytest.raises(NotPermitted) as error, experiment_lock(tmp_path, "digits"):
        pass
    assert f"process {holder.pid} since 20" in str(error.value)
    assert re.search(r"\d\d:\d\d:\d\d", str(error.value))
    # A refused attempt takes nothing away from the message for the next.
    with pytest.raises(NotPermitted, match=str(holder.pid)), experiment_lock(tmp_path, "digits"):
        pass


def test_a_killed_holder_releases_the_experiment(tmp_path, python):
    holder = python(HOLD, tmp_path, "digits")
    assert holder.stdout.readline().strip() == "held"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with experiment_lock(tmp_path, "digits"):
        pass


def test_other_experiments_and_other_folders_are_free(tmp_path):
    with (
        experiment_lock(tmp_path, "digits"),
        experiment_lock(tmp_path, "wine"),
        experiment_lock(tmp_path, "Digits/2 ü"),
        experiment_lock(tmp_path, "Digits-2 ü"),
        experiment_lock(tmp_path / "other", "digits"),
    ):
        pass


def test_a_process_cannot_take_its_own_lock_twice(tmp_path):
    with (
        experiment_lock(tmp_path, "digits"),
        pytest.raises(NotPermitted, match=str(os.getpid())),
        experiment_lock(tmp_path, "digits"),
    ):
        pass
    with experiment_lock(tmp_path, "digits"):
        pass


def test_the_lock_is_released_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), experiment_lock(tmp_path, "digits"):
        1 / 0
    with experiment_lock(tmp_path, "digits"):
        pass


def test_a_lock_needs_a_name_and_a_place(tmp_path):
    with pytest.raises(BadValue), experiment_lock(tmp_path, ""):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreFailed), experiment_lock(tmp_path / "file", "digits"):
        pass
