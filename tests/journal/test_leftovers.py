import os
import time

from modelwright.journal.journal import Journal

PLACES = (
    "artefacts/.0123.tmp",
    "metrics/ab/.abcd.parquet.tmp",
    "segments/abcd/.000001.tmp",
    "reports/.digits.html.17.tmp",
    "locks/digits-0.17.tmp",
)


def test_old_temporary_files_go_when_the_journal_is_opened_and_young_ones_stay(folder):
    with Journal.open(folder) as journal:
        kept = journal.artefacts.put(b"kept")
    for place in PLACES:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        for name, age in ((place, 2 * 3600.0), (place.replace(".tmp", "y.tmp"), 60.0)):
            (folder / name).write_bytes(b"half")
            os.utime(folder / name, (time.time() - age, time.time() - age))
    with Journal.open(folder, read_only=True):
        assert all((folder / place).exists() for place in PLACES), "a reader changes nothing"
    with Journal.open(folder) as journal:
        assert not [place for place in PLACES if (folder / place).exists()]
        assert all((folder / place.replace(".tmp", "y.tmp")).exists() for place in PLACES)
        assert journal.artefacts.get(kept) == b"kept"
        assert journal.verify().ok
