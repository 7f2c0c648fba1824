"""Where data come from, and how a raw table becomes a dataset.

A table passes through the same steps whatever it came out of, and each step that changes it is recorded:
select columns, treat missing values, turn text into numbers, round to float32, shape images. No step computes
a statistic over rows, so nothing of the test rows can leak into training here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.setting import Settings, setting
from modelwright.data.column import read_column
from modelwright.data.dataset import Dataset
from modelwright.data.encoding import encode_features
from modelwright.data.query import read_query
from modelwright.data.role import read_labels, read_target, read_times
from modelwright.data.table import BUNDLED, read_bundled, read_csv, read_frame, read_parquet
from modelwright.data.text import TEXTS, load_text
from modelwright.data.transformation import drop_duplicates, drop_incomplete, transformation

__all__ = ["Source", "load_dataset"]

_OWN_FIELDS = {
    "sklearn": ("name",),
    "csv": ("path", "columns", "header", "separator", "encoding"),
    "parquet": ("path",),
    "sql": ("path", "query"),
    "frame": ("name",),
    "text": ("name", "path", "length", "stride", "windows"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Settings):
    """Where rows come from and what each column is for.

    The task, where not named: text and true/false targets are classes; so are whole numbers with at most 20
    different values that come up twice or more on average; everything else is regression.
    """

    PLACE: ClassVar[str] = "data"

    kind: str = setting(doc="What the rows come out of.", choices=tuple(_OWN_FIELDS))
    name: str = setting(
        "",
        doc=f"Kind sklearn: {', '.join(BUNDLED)}. Kind text: {', '.join(TEXTS)}. Kind frame: the name it is "
        "passed under.",
    )
    path: str = setting(
        "",
        doc="File, relative to the project's root. Kind sql: a DuckDB or SQLite file, or none for files.",
    )
    query: str = setting("", doc="Kind sql: one SELECT.")
    target: str = setting("", doc="Column to predict; kind sklearn has its own.")
    task: str = setting(
        "", doc="Kind of target; derived where left out.", choices=("", "classification", "regression")
    )
    group: str = setting(
        "", doc="Column that names what rows belong together (a patient, a site); never a feature."
    )
    time: str = setting("", doc="Column that says when a row happened: numbers or dates; never a feature.")
    time_format: str = setting("", doc="How dates are written, e.g. %d/%m/%Y; ISO 8601 where left out.")
    part: str = setting(
        "", doc="Column that names the published part of a row (train, test); never a feature."
    )
    features: tuple[str, ...] = setting((), doc="Feature columns in order; all that are left where empty.")
    drop: tuple[str, ...] = setting((), doc="Columns to leave out.")
    image: tuple[int, ...] = setting(
        (), doc="(channel, height, width) where rows are images; digits has its own.", low=1
    )
    columns: tuple[str, ...] = setting(
        (), doc="Kind csv: column names, where the file has none or to replace them."
    )
    header: bool = setting(True, doc="Kind csv: whether the first line names the columns.")
    separator: str = setting(",", doc="Kind csv: the character between cells.")
    encoding: str = setting("utf-8", doc="Kind csv: how the text is stored.")
    missing: tuple[str, ...] = setting(
        ("", "NA", "N/A", "NaN", "nan", "null", "NULL"), doc="Texts that mean a missing value."
    )
    when_missing: str = setting(
        "keep",
        doc="What to do with missing numbers: keep them as NaN, refuse, drop their rows, or put 0 and an "
        "indicator column. Missing text is a category of its own under keep and indicator.",
        choices=("keep", "refuse", "drop_rows", "indicator"),
    )
    duplicates: str = setting(
        "keep",
        doc="Whether rows that repeat an earlier row's features and target stay.",
        choices=("keep", "drop"),
    )
    categorical: str = setting(
        "one_hot", doc="How text becomes numbers.", choices=("one_hot", "ordinal", "refuse")
    )
    length: int = setting(64, doc="Kind text: characters in a window.", low=1)
    stride: int | None = setting(
        None,
        doc="Kind text: characters from the start of one window to that of the next; null for the length.",
        low=1,
    )
    windows: int | None = setting(
        None, doc="Kind text: most windows to take, from the start of the text; null for all.", low=2
    )

    def __post_init__(self) -> None:
        for field in ("features", "drop", "image", "columns", "missing"):
            value = getattr(self, field)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise BadValue(
                    f"data.{field} is a list",
                    got=cast("object", value),
                    nearest=f"data.{field}=[{value}]",
                )
            object.__setattr__(self, field, tuple(cast("Sequence[Any]", value)))
        Settings.__post_init__(self)
        own = _OWN_FIELDS[self.kind]
        defaults = {field.name: field.default for field in fields(self)}
        for field in sorted({name for names in _OWN_FIELDS.values() for name in names} - set(own)):
            if getattr(self, field) != defaults[field]:
                raise BadValue(
                    f"data.{field} means nothing for kind {self.kind}",
                    got=getattr(self, field),
                    next_step="leave it out, or change data.kind",
                )
        if self.kind == "text":
            self._check_text(defaults)
            return
        needed = {"sklearn": "name", "csv": "path", "parquet": "path", "sql": "query", "frame": "name"}[
            self.kind
        ]
        for field in (needed, *(() if self.kind == "sklearn" else ("target",))):
            if not getattr(self, field):
                raise BadValue(f"A source of kind {self.kind} needs data.{field}", got="nothing")
        if self.kind == "sklearn" and self.name not in BUNDLED:
            raise UnknownName("set bundled with scikit-learn", self.name, BUNDLED)
        if len(self.separator) != 1:
            raise BadValue("data.separator is one character", got=self.separator)
        if self.image and len(self.image) != 3:
            raise BadValue("data.image is (channel, height, width)", got=self.image)
        if self.time_format and not self.time:
            raise BadValue("data.time_format goes with data.time", got=self.time_format)
        self._check_roles()

    def _check_text(self, defaults: Mapping[str, Any]) -> None:
        idle = [name for name in defaults if name != "kind" and name not in _OWN_FIELDS["text"]]
        for name in idle:
            if getattr(self, name) != defaults[name]:
                raise BadValue(
                    f"data.{name} means nothing for kind text: rows are windows, the target is what follows",
                    got=getattr(self, name),
                    next_step="leave it out, or change data.kind",
                )
        if bool(self.name) == bool(self.path):
            raise BadValue(
                "A source of kind text needs data.name or data.path, and not both",
                got=f"{self.name} and {self.path}" if self.name else "nothing",
                nearest=f"data.name={TEXTS[0]}",
            )
        if self.name and self.name not in TEXTS:
            raise UnknownName("text", self.name, TEXTS)

    def _check_roles(self) -> None:
        roles: dict[str, str] = {}
        target = self.target or ("target" if self.kind == "sklearn" else "")
        for role, name in (
            ("target", target),
            ("group", self.group),
            ("time", self.time),
            ("part", self.part),
        ):
            if not name:
                continue
            if name in roles:
                raise BadValue("A column has one role", got=f"{name} as {roles[name]} and {role}")
            roles[name] = role
        for name in (*self.features, *self.drop):
            if name in roles:
                raise BadValue(f"The {roles[name]} column is no feature", got=name)
        for names in (self.features, self.drop, self.columns):
            if len(set(names)) != len(names):
                raise BadValue("Columns are named once", got=names)
        if both := set(self.features) & set(self.drop):
            raise BadValue("A column is used or dropped", got=sorted(both))


def load_dataset(source: Source, *, root: Path, frames: Mapping[str, Any] | None = None) -> Dataset:
    """Return the dataset that `source` describes.

    Args:
        source: What to read and what each column is for.
        root: The project's root, where relative paths start.
        frames: Tables given from Python by name: pandas frames, Arrow tables, or anything else that Arrow can
            read as a table.

    Raises:
        SourceMissing: where a file, table or package is not there.
        UnknownName: where a column or frame has another name.
        BadValue: where the content cannot be learnt from as asked; the message says which column and why.
    """
    if source.kind == "text":
        return load_text(
            name=source.name,
            path=source.path,
            root=root,
            length=source.length,
            stride=source.stride,
            windows=source.windows,
        )
    table, origin = _read(source, root, frames or {})
    _check_table(table)
    target_name = source.target or "target"
    names = cast("list[str]", table.column_names)
    roles = [name for name in (target_name, source.group, source.time, source.part) if name]
    for name in (*roles, *source.features, *source.drop):
        if name not in names:
            raise UnknownName("column", name, names)
    chosen = list(source.features) or [name for name in names if name not in (*roles, *source.drop)]
    if not chosen:
        raise BadValue(
            "Data have at least one feature column besides the target", got=f"columns {', '.join(names)}"
        )
    steps: list[dict[str, Any]] = []
    rows = table.num_rows
    if left := [name for name in names if name not in (*roles, *chosen)]:
        width = (len(chosen) + len(left), len(chosen))
        steps.append(transformation("select_columns", {"left_out": left}, rows=(rows, rows), columns=width))
    columns = {name: read_column(name, table.column(name), source.missing) for name in [*chosen, *roles]}
    if source.when_missing == "drop_rows":
        columns = drop_incomplete(columns, len(chosen), steps)
    if source.duplicates == "drop":
        columns = drop_duplicates(columns, [*chosen, target_name], len(chosen), steps)
    features, feature_names = encode_features(
        [columns[name] for name in chosen],
        when_missing=source.when_missing,
        categorical=source.categorical,
        steps=steps,
    )
    image = (
        (1, 8, 8)
        if source.kind == "sklearn" and source.name == "digits" and not source.image
        else source.image
    )
    if image:
        features = _shaped(features, tuple(image), steps)
    task, target, classes = read_target(columns[target_name], source.task)
    return Dataset(
        name=source.name or Path(source.path).stem or "query",
        features=features,
        target=target,
        task=task,
        classes=classes,
        columns=() if image else feature_names,
        groups=read_labels(columns[source.group], "group") if source.group else None,
        times=read_times(columns[source.time], source.time_format) if source.time else None,
        parts=read_labels(columns[source.part], "part") if source.part else None,
        origin=origin,
        transformations=tuple(steps),
    )


def _read(source: Source, root: Path, frames: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    if source.kind == "sklearn":
        return read_bundled(source.name)
    if source.kind == "frame":
        return read_frame(source.name, frames)
    if source.kind == "sql":
        database = root / source.path if source.path else None
        return read_query(source.query, database=database, root=root, frames=frames)
    path = root / source.path
    if source.kind == "parquet":
        table, origin = read_parquet(path)
    else:
        table, origin = read_csv(
            path,
            columns=source.columns,
            header=source.header,
            separator=source.separator,
            encoding=source.encoding,
        )
    return table, {**origin, "path": source.path}


def _check_table(table: Any) -> None:
    names = cast("list[str]", table.column_names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadValue(
            "Column names differ from one another",
            got=f"{', '.join(twice[:10])} more than once",
            next_step="rename them; for a CSV file data.columns gives new names",
        )
    if table.num_rows == 0:
        raise BadValue("Data have rows", got=f"none; columns {', '.join(names)}")
    if len(names) < 2:
        raise BadValue(
            "Data have a target and at least one feature column",
            got=f"one column: {names[0][:100] if names else 'none'}",
            next_step="for a CSV file check data.separator",
        )


def _shaped(
    features: NDArray[np.float32], image: tuple[int, ...], steps: list[dict[str, Any]]
) -> NDArray[np.float32]:
    rows, width = features.shape
    if int(np.prod(image)) != width:
        raise BadValue(
            "data.image has as many numbers as there are feature columns",
            got=f"{image} is {int(np.prod(image))} numbers for {width} columns",
        )
    steps.append(
        transformation("shape_image", {"image": list(image)}, rows=(rows, rows), columns=(width, width))
    )
    return features.reshape(rows, *image)
