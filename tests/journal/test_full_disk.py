"""A disk that is full, for real: a limit on file sizes, and a small file system where one can be mounted."""

import os
import subprocess
import sys

import pytest

from modelwright.journal.journal import Journal

LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from modelwright.base.errors import StoreFailed
from modelwright.journal.journal import Journal

folder = Path(sys.argv[1])
journal = Journal.open(folder)
for run in ("r0", "r1"):
    journal.start_run(run, trial=run, design="d", experiment="e", variant="v", seed_index=0, body={})
writer = journal.metric_writer(["r0", "r1"], flush_seconds=1000)
writer.write(1, {"x": np.ones(2)})
writer.flush()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
limit = max(path.stat().st_size for path in folder.rglob("*") if path.is_file()) + 20_000

def refused(action):
    try:
        for i in range(10_000):
            action(i)
    except StoreFailed as error:
        assert "free space" in str(error) and "safe" in str(error), error
        return i
    raise AssertionError("the limit was never met")

resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
appended = refused(lambda i: journal.append("note", {"i": i, "text": "x" * 500}))
refused(lambda i: journal.append("note", {"i": -1, "text": "x" * 500}))
refused(lambda i: journal.artefacts.put(bytes(1_000_000)))

def write_much(i):
    for update in range(2000):
        writer.write(2 + i, {f"m{k}": np.random.default_rng(update).random(2) for k in range(30)})
    writer.flush()

refused(write_much)
refused(lambda i: writer.finish())
assert len(journal.entries(kind="note")) == appended
print("refused", appended, flush=True)
if sys.argv[2] == "go on":
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append("note", {"i": appended})
    files = writer.finish()
    assert files["r0"].rows > 60_000, files
    journal.artefacts.put(bytes(1_000_000))
    assert journal.verify().ok, journal.verify()
    print("went on", flush=True)
else:
    import os
    os._exit(0)
"""

SMALL = """
import sys
from pathlib import Path
import numpy as np
from modelwright.base.errors import StoreFailed
from modelwright.journal.journal import Journal

folder = Path(sys.argv[1])
journal = Journal.open(folder)
for run in ("r0", "r1"):
    journal.start_run(run, trial=run, design="d", experiment="e", variant="v", seed_index=0, body={})
writer = journal.metric_writer(["r0", "r1"], flush_seconds=1000)
writer.write(1, {"x": np.ones(2)})
writer.flush()
ballast = folder.parent / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError as error:
        assert error.errno == 28, error
count = 0
for action in (
    lambda: [journal.append("note", {"i": i, "text": "x" * 4000}) for i in range(1000)],
    lambda: journal.artefacts.put(bytes(100_000)),
    lambda: [writer.write(2, {"x": np.ones(2)}), writer.flush()],
    lambda: writer.finish(),
):
    try:
        action()
    except StoreFailed as error:
        assert "free space" in str(error), error
        count += 1
appended = len(journal.entries(kind="note"))
ballast.unlink()
journal.append("note", {"i": appended})
files = writer.finish()
assert files["r0"].rows == 2, files
assert len(journal.entries(kind="note")) == appended + 1
assert journal.verify().ok, journal.verify()
print("refused", count)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no limit on file sizes")
@pytest.mark.parametrize("afterwards", ["go on", "crash"])
def test_a_limit_on_file_sizes_surfaces_and_loses_nothing(folder, python, afterwards):
    out, errors = python(LIMITED, folder, afterwards).communicate(timeout=120)
    assert "refused" in out, errors
    assert ("went on" in out) == (afterwards == "go on"), errors
    with Journal.open(folder) as journal:
        notes = journal.entries(kind="note")
        assert [entry.body["i"] for entry in notes] == list(range(len(notes)))
        assert len(notes) == int(out.split()[1]) + (afterwards == "go on")
        assert journal.verify().ok
        table = journal.read_metrics("r0").to_pandas()
        assert table[table.metric == "x"]["value"].tolist() == [1.0]


def test_a_full_file_system_surfaces_and_loses_nothing(tmp_path, python):
    mount = tmp_path / "small"
    mount.mkdir()
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], capture_output=True, check=False
        )
        if hasattr(os, "geteuid") and os.geteuid() == 0 and sys.platform == "linux"
        else None
    )
    if made is None or made.returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        out, errors = python(SMALL, mount / "journal").communicate(timeout=60)
        assert out.split() == ["refused", "4"], errors
        with Journal.open(mount / "journal") as journal:
            assert journal.verify().ok
    finally:
        subprocess.run(["umount", str(mount)], check=True)
