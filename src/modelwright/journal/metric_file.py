"""Metrics of a finished cohort: one Parquet file with a run column, and its sha256.

One file for a cohort rather than for a run keeps 30,000 runs at a few thousand files. Each run has row
groups of its own, so that reading one run reads only its part. Columns: run, update, metric, value;
rows are ordered by run, metric and update.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import Corrupted
from modelwright.journal.artefacts import file_sha256, sync_folder
from modelwright.journal.segment import Block

__all__ = ["MetricFile", "empty_table", "read_metric_file", "run_table", "write_metric_file"]

_GROUP_ROWS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFile:
    """One run's part of a cohort's metric file.

    Attributes:
        run: The run.
        cohort: The cohort that the file belongs to.
        path: The file, relative to the journal's folder, with forward slashes.
        sha256: Of the file's bytes. It depends on the run's company and on the Parquet library.
        rows: How many metrics the run has.
        values_sha256: Of the run's own metrics (names, updates, values; every NaN alike) in a fixed
            form. Two runs have the same exactly when their metrics are bit-identical.
    """

    run: str
    cohort: str
    path: str
    sha256: str
    rows: int
    values_sha256: str

    def record(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return asdict(self)


def _columns(
    blocks: Sequence[Block], seed: int
) -> tuple[list[str], NDArray[Any], NDArray[Any], NDArray[Any]]:
    names = sorted({name for block in blocks for name in block.names})
    code = {name: index for index, name in enumerate(names)}
    width = np.int16 if len(names) < 2**15 else np.int32
    codes = [np.tile(np.array([code[n] for n in b.names], width), len(b.updates)) for b in blocks]
    updates = [np.repeat(block.updates, len(block.names)) for block in blocks]
    values = [block.values[:, :, seed].reshape(-1) for block in blocks]
    all_codes = np.concatenate([np.empty(0, width), *codes])
    all_updates = np.concatenate([np.empty(0, np.int64), *updates])
    all_values = np.concatenate([np.empty(0, np.float64), *values])
    order = np.lexsort((all_updates, all_codes))
    return names, all_updates[order], all_codes[order], all_values[order]


def _table(names: Sequence[str], updates: NDArray[Any], codes: NDArray[Any], values: NDArray[Any]) -> Any:
    import pyarrow as pa

    metric = pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32)), pa.array(list(names), pa.string())
    )
    return pa.table(
        {"update": pa.array(updates), "metric": metric, "value": pa.array(values, from_pandas=False)}
    )


def empty_table() -> Any:
    """Return a pyarrow table of metrics without rows."""
    return _table((), np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float64))


def run_table(blocks: Sequence[Block], seed: int) -> Any:
    """Return one run's metrics as a pyarrow table.

    Columns: update (int64), metric (dictionary of string), value (float64).

    Args:
        blocks: The cohort's blocks.
        seed: The run's place on the seed axis.
    """
    return _table(*_columns(blocks, seed))


def _values_sha256(
    names: Sequence[str], updates: NDArray[Any], codes: NDArray[Any], values: NDArray[Any]
) -> str:
    digest = hashlib.sha256()
    ends = np.searchsorted(codes, np.arange(len(names)), side="right")
    start = 0
    for name, end in zip(names, ends.tolist(), strict=True):
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded + (end - start).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(updates[start:end], "<i8").data)
        part = np.ascontiguousarray(values[start:end], "<f8")
        digest.update(np.where(np.isnan(part), np.nan, part).data)
        start = end
    return digest.hexdigest()


def write_metric_file(
    root: Path, path: str, cohort: str, runs: Sequence[str], blocks: Sequence[Block]
) -> dict[str, MetricFile]:
    """Write a cohort's metric file so that it is durable and whole when this returns.

    Args:
        root: The journal's folder.
        path: The file, relative to it.
        cohort: Identity of the cohort.
        runs: In the order of the seed axis.
        blocks: The cohort's metrics.

    Raises:
        OSError: where the disk refuses; nothing is left behind then.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    texts = pa.dictionary(pa.int32(), pa.string())
    fields = [("run", texts), ("update", pa.int64()), ("metric", texts), ("value", pa.float64())]
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])
    parts: dict[str, tuple[int, str]] = {}
    try:
        with (
            temporary.open("wb") as file,
            pq.ParquetWriter(
                file,
                schema,
                compression="zstd",
                use_dictionary=["run", "metric"],  # pyright: ignore[reportArgumentType]
                column_encoding={"update": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"},
            ) as writer,
        ):
            for seed, run in enumerate(runs):
                columns = _columns(blocks, seed)
                table = _table(*columns)
                column = pa.DictionaryArray.from_arrays(
                    pa.array(np.zeros(len(table), np.int32)), pa.array([run])
                )
                if len(table):
                    writer.write_table(
                        table.add_column(0, "run", column).cast(schema), row_group_size=_GROUP_ROWS
                    )
                parts[run] = (len(table), _values_sha256(*columns))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        sha256 = file_sha256(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
        sync_folder(target.parent.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return {
        run: MetricFile(run=run, cohort=cohort, path=path, sha256=sha256, rows=rows, values_sha256=values)
        for run, (rows, values) in parts.items()
    }


def read_metric_file(root: Path, path: str, sha256: str, run: str) -> Any:
    """Return one run's metrics, a pyarrow table, from a cohort's file, after checking all of the file.

    Raises:
        Corrupted: where the file is missing or does not match its sha256.
    """
    import pyarrow.parquet as pq

    target = root / path
    try:
        found = file_sha256(target)
    except OSError as error:
        raise Corrupted(
            "A metric file that the ledger names can be read",
            got=f"{path}: {error.strerror}",
            next_step="restore it from a copy of the folder",
        ) from error
    if found != sha256:
        raise Corrupted(
            "A metric file matches the sha256 in the ledger",
            got=f"{path}: content has {found[:12]}, the ledger says {sha256[:12]}",
            next_step="restore it from a copy of the folder",
        )
    with pq.ParquetFile(target, memory_map=True, read_dictionary=["metric"]) as file:
        metadata = file.metadata
        groups = [
            index
            for index in range(metadata.num_row_groups)
            if metadata.row_group(index).column(0).statistics.min == run
        ]
        if not groups:
            return empty_table()
        return file.read_row_groups(groups, columns=["update", "metric", "value"])


def total_rows(files: Mapping[str, MetricFile]) -> int:
    """Return how many metrics a cohort's file holds."""
    return sum(file.rows for file in files.values())
