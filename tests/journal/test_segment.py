import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright.base.errors import Corrupted
from modelwright.journal.segment import Block, read_segment, read_segments, write_segment


def block(rows, names=("loss", "acc"), seeds=2, start=1):
    values = np.arange(rows * len(names) * seeds, dtype=float).reshape(rows, len(names), seeds) + start
    return Block(names=tuple(names), updates=np.arange(start, start + rows), values=values)


def same(left, right):
    assert left.names == right.names
    assert np.array_equal(left.updates, right.updates)
    assert np.array_equal(left.values, right.values)


def test_blocks_come_back_as_they_were(tmp_path):
    blocks = [block(3), block(1, ("ä", "b", "c")), block(0), block(5, ("loss",))]
    path = write_segment(tmp_path, 1, "c", ["r0", "r1"], blocks)
    for left, right in zip(read_segment(path, 2), blocks, strict=True):
        same(left, right)
    assert [item.name for item in tmp_path.iterdir()] == ["000001.segment"]


@settings(max_examples=60)
@given(data=st.data())
def test_any_flipped_bit_and_any_truncation_is_detected_and_named(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("segment")
    for number in (1, 2, 3):
        write_segment(folder, number, "c", ["r0", "r1"], [block(4, start=number * 10)])
    path = folder / "000002.segment"
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(content) * 8 - 1))
        content[place // 8] ^= 1 << place % 8
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    blocks, damage = read_segments(folder, 2)
    assert isinstance(damage, Corrupted)
    assert "000002.segment" in str(damage)
    (good,) = blocks
    same(good, block(4, start=10))


def test_a_missing_segment_is_named_and_what_comes_before_is_kept(tmp_path):
    for number in (1, 2, 3):
        write_segment(tmp_path, number, "c", ["r0", "r1"], [block(1)])
    (tmp_path / "000002.segment").unlink()
    blocks, damage = read_segments(tmp_path, 2)
    assert len(blocks) == 1
    assert "000002.segment: missing" in str(damage)


def test_a_segment_of_another_place_or_cohort_is_damage(tmp_path):
    path = write_segment(tmp_path, 1, "c", ["r0", "r1"], [block(1)])
    with pytest.raises(Corrupted, match="cohort of 2 runs"):
        read_segment(path, 3)
    path.rename(tmp_path / "000002.segment")
    with pytest.raises(Corrupted, match="number 1"):
        read_segment(tmp_path / "000002.segment", 2)


def test_the_half_written_file_of_a_crash_is_not_read(tmp_path):
    write_segment(tmp_path, 1, "c", ["r0", "r1"], [block(1)])
    (tmp_path / ".000002.tmp").write_bytes(b"MWSEG half")
    blocks, damage = read_segments(tmp_path, 2)
    assert damage is None
    assert len(blocks) == 1
