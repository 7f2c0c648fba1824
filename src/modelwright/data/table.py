"""Raw tables out of files, frames and scikit-learn's bundled sets, each with its origin."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue, SourceMissing, UnknownName, nearest_name
from modelwright.base.fingerprint import sha256_hex

__all__ = ["BUNDLED", "ArrowTable", "file_origin", "read_bundled", "read_csv", "read_frame", "read_parquet"]

ArrowTable = Any
"""A `pyarrow.Table`; pyarrow ships no types."""

BUNDLED = {
    "breast_cancer": ("breast_cancer.csv",),
    "diabetes": ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"),
    "digits": ("digits.csv.gz",),
    "iris": ("iris.csv",),
    "wine": ("wine_data.csv",),
}
"""The sets that ship inside scikit-learn: real data that need no download, with their files."""


def file_origin(path: Path) -> dict[str, Any]:
    """Return size and sha256 of a file's bytes.

    Raises:
        SourceMissing: where there is no such file, with the nearest name beside it, or it cannot be read.
    """
    if not path.is_file():
        beside = (
            [other.name for other in path.parent.iterdir() if other.is_file()] if path.parent.is_dir() else []
        )
        raise SourceMissing(
            "A data file exists",
            got=str(path) + (" (a folder)" if path.is_dir() else ""),
            nearest=nearest_name(path.name, beside),
            next_step="check data.path; it is relative to the project's root",
        )
    try:
        with path.open("rb") as file:
            return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    except OSError as error:
        raise SourceMissing("A data file can be read", got=f"{path}: {error.strerror}") from error


def read_csv(
    path: Path, *, columns: Sequence[str], header: bool, separator: str, encoding: str
) -> tuple[ArrowTable, dict[str, Any]]:
    """Return a CSV file as a table of texts; what a text means is decided later, alike for every route.

    Args:
        path: The file.
        columns: Names, where the file has none or to replace its own.
        header: Whether the first line names the columns.
        separator: One character between cells.
        encoding: How the text is stored.

    Raises:
        SourceMissing: where there is no such file.
        BadValue: where it is empty, has lines of different length, or is stored in another encoding.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    origin = file_origin(path)
    first = _first_line(path, separator, encoding)
    width = len(first)
    if columns and len(columns) != width:
        raise BadValue(
            "data.columns names every column of the file",
            got=f"{len(columns)} names for {width} columns; the first line is {separator.join(first)[:200]}",
        )
    if not columns and not header:
        columns = [f"column_{number}" for number in range(1, width + 1)]
    slots = [f"f{number}" for number in range(width)]
    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(autogenerate_column_names=True, encoding=encoding),
            parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(slots, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _csv_error(path, error, encoding) from error
    names = list(columns) or [name.strip() for name in first]
    table = table.slice(1) if header else table
    if table.num_rows == 0:
        raise BadValue("A data file has rows", got=f"{path.name} has only a header")
    return table.rename_columns(names), {"kind": "csv", "path": path.name, **origin}


def _first_line(path: Path, separator: str, encoding: str) -> list[str]:
    try:
        with path.open(
            encoding="utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding, newline=""
        ) as file:
            for cells in csv.reader(file, delimiter=separator):
                if cells:
                    return cells
    except UnicodeDecodeError as error:
        raise _csv_error(path, error, encoding) from error
    except csv.Error as error:
        raise BadValue("A CSV file is lines of text", got=f"{path.name}: {error}") from error
    except LookupError as error:
        raise BadValue("data.encoding names an encoding", got=encoding, nearest="utf-8") from error
    raise BadValue("A data file has rows", got=f"{path.name} is empty")


def _csv_error(path: Path, error: Exception, encoding: str) -> BadValue:
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error) or "utf-8" in str(error).lower():
        return BadValue(
            f"The file is text in {encoding}",
            got=f"{path.name}: {error}",
            next_step="set data.encoding, e.g. latin-1 or utf-16, or data.kind if it is no CSV file",
        )
    return BadValue(
        "Every line of a CSV file has as many cells as the first",
        got=f"{path.name}: {error}",
        next_step="mend the line, or set data.separator if cells are not parted by it",
    )


def read_parquet(path: Path) -> tuple[ArrowTable, dict[str, Any]]:
    """Return a Parquet file as a table.

    Raises:
        SourceMissing: where there is no such file.
        BadValue: where it is no whole Parquet file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    origin = file_origin(path)
    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise BadValue(
            "The file is a whole Parquet file",
            got=f"{path.name}, {origin['bytes']} bytes: {str(error).splitlines()[0]}",
            next_step="write or copy it again; check data.kind",
        ) from error
    return table, {"kind": "parquet", "path": path.name, **origin}


def read_frame(name: str, frames: Mapping[str, Any]) -> tuple[ArrowTable, dict[str, Any]]:
    """Return a frame that was given from Python as a table. A pandas index is no column and is left out.

    Raises:
        UnknownName: where no frame was given under this name.
        BadValue: where it is no table, or a column mixes types.
    """
    import pandas as pd
    import pyarrow as pa

    if name not in frames:
        raise UnknownName(
            "frame", name, frames, next_step=None if frames else "pass it: frames={name: table}"
        )
    frame = frames[name]
    version = pa.__version__
    try:
        if isinstance(frame, pd.DataFrame):
            version = pd.__version__
            named = frame.set_axis([str(column) for column in frame.columns], axis=1)
            table = pa.Table.from_arrays(
                [_plain(named.iloc[:, place], pa) for place in range(named.shape[1])],
                names=list(named.columns),
            )
        else:
            table = pa.table(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError) as error:
        raise BadValue(
            "A frame is a pandas or Arrow table whose columns hold one type each",
            got=f"{name} ({type(frame).__name__}): {str(error).splitlines()[0]}",
        ) from error
    origin = {"kind": "frame", "name": name, "type": f"{type(frame).__module__.split('.')[0]} {version}"}
    return table, origin


def _plain(series: Any, pa: Any) -> Any:
    try:
        array = pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TypeError(f"column {series.name}: {error}") from error
    return pa.chunked_array([array]) if isinstance(array, pa.Array) else array


def read_bundled(name: str) -> tuple[ArrowTable, dict[str, Any]]:
    """Return a set that ships inside scikit-learn, with a column `target`.

    Values are the measured ones: diabetes comes without the scaling that scikit-learn would compute over all
    rows, test rows among them.

    Raises:
        UnknownName: where scikit-learn bundles no such set.
    """
    import pyarrow as pa
    import sklearn
    from sklearn import datasets

    if name not in BUNDLED:
        raise UnknownName("set bundled with scikit-learn", name, BUNDLED)
    load = getattr(datasets, f"load_{name}")
    bunch = load(scaled=False) if name == "diabetes" else load()
    arrays = {str(column): bunch.data[:, place] for place, column in enumerate(bunch.feature_names)}
    named = name not in ("diabetes", "digits")
    arrays["target"] = bunch.target_names[bunch.target] if named else bunch.target
    content = b"".join(
        (resources.files("sklearn.datasets.data") / file).read_bytes() for file in BUNDLED[name]
    )
    origin = {
        "kind": "sklearn",
        "name": name,
        "files": list(BUNDLED[name]),
        "bytes": len(content),
        "sha256": sha256_hex(content),
        "version": f"scikit-learn {sklearn.__version__}",
    }
    return pa.table({column: pa.array(values) for column, values in arrays.items()}), origin
