import os
import random
import signal
import sqlite3
import time

import numpy as np
import pytest

from modelwright.base.errors import NotPermitted, StoreFailed
from modelwright.journal.journal import Journal

APPEND = """
import sys
from pathlib import Path
from modelwright.journal.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    for i in range(int(sys.argv[3])):
        journal.append("note", {"who": sys.argv[2], "i": i})
"""

WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
import numpy as np
from modelwright.journal.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    number += 1
    runs = [f"run-{number}-{seed}" for seed in range(3)]
    for seed, run in enumerate(runs):
        journal.start_run(run, trial=run, design="d", experiment="e", variant="v", seed_index=seed, body={})
    writer = journal.metric_writer(runs, flush_seconds=0.02)
    for update in range(1, 401):
        writer.write(update, {"loss": np.full(3, update) + np.arange(3), "x": np.full(3, float(number))})
        if update % 100 == 0:
            writer.flush()
            print("flushed", number, update, flush=True)
    files = writer.finish()
    print("stored", number, 400, flush=True)
    journal.artefacts.put(str(number).encode() * 1000)
    for run in runs:
        journal.finish_run(run, status="finished", score=1.0, body={}, metrics=files[run])
        print("finished", run, 0, flush=True)
"""


def test_several_processes_append_to_one_unbroken_chain(folder, python):
    processes = [python(APPEND, folder, who, 40) for who in "abcd"]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    with Journal.open(folder) as journal:
        entries = journal.entries()
        assert len(entries) == 160
        for who in "abcd":
            assert [entry.body["i"] for entry in entries if entry.body["who"] == who] == list(range(40))
        assert journal.verify().ok


def test_one_of_two_processes_that_register_the_same_name_is_refused(folder, python):
    code = """
import sys
from pathlib import Path
from modelwright.base.errors import NotPermitted
from modelwright.journal.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    try:
        journal.register("digits", sys.argv[2] * 64, {})
        print("registered")
    except NotPermitted:
        print("refused")
"""
    answers = sorted(
        process.communicate(timeout=60)[0].strip() for process in [python(code, folder, c) for c in "ab"]
    )
    assert answers == ["refused", "registered"]


def test_a_process_that_is_killed_at_any_moment_loses_nothing_that_was_acknowledged(folder, python):
    moments = random.Random(3)
    acknowledged: list[tuple[str, str, str]] = []
    for attempt in range(4):
        process = python(WRITE_UNTIL_KILLED, folder, attempt * 1000)
        assert process.stdout.readline().startswith("flushed")
        time.sleep(moments.uniform(0.0, 0.6))
        os.kill(process.pid, signal.SIGKILL)
        lines = process.communicate()[0].splitlines()
        acknowledged += [tuple(line.split()) for line in lines if len(line.split()) == 3]
    with Journal.open(folder) as journal:
        found = journal.verify()
        assert found.ok, found.damages
        rows = {row.run: row for row in journal.runs()}
        for what, name, update in acknowledged:
            if what == "finished":
                assert rows[name].status == "finished"
                continue
            for seed in range(3):
                table = journal.read_metrics(f"run-{name}-{seed}").to_pandas()
                loss = table[table.metric == "loss"]
                assert len(loss) >= int(update)
                assert np.array_equal(loss["update"], np.arange(1, len(loss) + 1))
                assert np.array_equal(loss["value"], loss["update"] + seed)
        for row in rows.values():
            if row.cohort is not None:
                journal.read_metrics(row.run)  # segments or a metric file, never neither
        journal.append("note", {"after": "the kills"})


def test_a_busy_journal_is_a_clear_failure_after_the_busy_time(folder):
    with Journal.open(folder, busy_seconds=0.2) as journal:
        journal.append("note", {})
        other = sqlite3.connect(folder / "journal.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreFailed, match="busy time"):
            journal.append("note", {})
        assert 0.15 < time.monotonic() - began < 5
        assert len(journal.entries()) == 1  # reading goes on meanwhile
        other.execute("ROLLBACK")
        other.close()
        assert journal.append("note", {}).sequence == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_to_open_the_journal_itself(journal):
    child = os.fork()
    if child == 0:
        try:
            journal.append("note", {})
        except NotPermitted:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert journal.append("note", {}).sequence == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_that_closes_its_parents_journal_changes_nothing(folder, start):
    with Journal.open(folder) as journal:
        start(journal, "r0")
        writer = journal.metric_writer(["r0"], flush_seconds=1000)
        writer.write(1, {"x": np.ones(1)})
        child = os.fork()
        if child == 0:
            try:
                writer.flush()
            except NotPermitted:
                journal.close()
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert not list((folder / "segments").rglob("*.segment"))
        journal.append("note", {})
        assert journal.read_metrics("r0")["value"].to_pylist() == [1.0]
    with Journal.open(folder) as journal:
        assert len(journal.entries()) == 3
        assert journal.verify().ok


def test_a_reader_sees_what_a_writer_appended_after_it_had_opened(folder):
    with Journal.open(folder) as writer:
        writer.append("note", {"i": 0})
    with Journal.open(folder, read_only=True) as reader:
        assert len(reader.entries()) == 1
        with Journal.open(folder) as writer:
            writer.append("note", {"i": 1})
            assert len(reader.entries()) == 2
        assert len(reader.entries()) == 2
        with Journal.open(folder) as writer:
            writer.append("note", {"i": 2})
        assert len(reader.entries()) == 3
        assert reader.verify().ok


def test_verify_finds_no_damage_while_another_process_writes(folder, python):
    process = python(WRITE_UNTIL_KILLED, folder, 0)
    assert process.stdout.readline().startswith("flushed")
    with Journal.open(folder) as own, Journal.open(folder, read_only=True) as reader:
        for _ in range(15):
            for journal in (own, reader):
                found = journal.verify()
                assert found.ok, found.damages
    assert process.poll() is None
