"""Windows of characters out of a text: each is a row, and the target is the character that follows it.

    row i holds the characters  i * stride .. i * stride + length - 1,   target: the one after them

A character is its place among the different characters of the text, in order of code points, so features and
classes speak of the same numbers. When a row happened is the place of its target in the text: windows that
lie closer than their length share characters, and a split in time keeps the later ones to test.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.fingerprint import sha256_hex
from modelwright.data.dataset import Dataset
from modelwright.data.table import file_origin
from modelwright.data.transformation import transformation

__all__ = ["TEXTS", "load_text"]

TEXTS = ("python_manual",)
"""Texts that are always there: the manual that ships inside CPython (`pydoc_data.topics`), its topics joined
in the order of their names, without paragraphs that repeat an earlier one."""


def load_text(
    *, name: str, path: str, root: Path, length: int, stride: int | None, windows: int | None
) -> Dataset:
    """Return windows of a text as rows to classify.

    Args:
        name: One of `TEXTS`, or empty for a file.
        path: A file of UTF-8, relative to `root`; line ends become a single newline.
        root: The project's root.
        length: Characters in a window.
        stride: Characters from the start of one window to that of the next; None for `length`.
        windows: How many to take at most, from the start of the text; None for all.

    Raises:
        SourceMissing: where there is no such file.
        UnknownName: where no text has this name.
        BadValue: where the file is no UTF-8, the text is too short for two windows, or it has one character
            only.
    """
    text, origin = _read_manual(name) if name else _read_file(root / path, path)
    stride = stride or length
    rows = (len(text) - length - 1) // stride + 1 if len(text) > length else 0
    if rows < 2:
        raise BadValue(
            "A text has at least two windows and the character after each",
            got=f"{len(text)} characters for windows of {length}, {stride} apart",
            next_step="lower data.length or data.stride",
        )
    starts = np.arange(rows if windows is None else min(rows, windows)) * stride
    end = int(starts[-1]) + length + 1
    points = np.frombuffer(text[:end].encode("utf-32-le"), np.uint32)
    alphabet, codes = np.unique(points, return_inverse=True)
    if len(alphabet) < 2:
        raise BadValue("A text has at least two different characters", got=repr(chr(int(alphabet[0]))))
    arguments = {"length": length, "stride": stride, "characters": end, "alphabet": len(alphabet)}
    return Dataset(
        name=name or Path(path).stem,
        features=codes[starts[:, None] + np.arange(length)].astype(np.float32),
        target=codes[starts + length].astype(np.int64),
        task="classification",
        classes=tuple(repr(chr(int(point))) for point in alphabet),
        columns=tuple(f"back_{back}" for back in range(length, 0, -1)),
        times=(starts + length).astype(np.int64),
        origin=origin,
        transformations=(
            transformation("cut_windows", arguments, rows=(1, len(starts)), columns=(end, length)),
        ),
    )


def _read_manual(name: str) -> tuple[str, dict[str, Any]]:
    if name not in TEXTS:
        raise UnknownName("text", name, TEXTS, next_step=f"choose {TEXTS[0]}, or name a file in data.path")
    from pydoc_data.topics import topics

    # Whole sections stand under several topics; what stands twice could be learnt by heart and tested.
    paragraphs = "".join(topics[key] for key in sorted(topics)).split("\n\n")
    text = "\n\n".join(dict.fromkeys(paragraphs))
    content = text.encode()
    origin = {
        "kind": "text",
        "name": name,
        "bytes": len(content),
        "sha256": sha256_hex(content),
        "version": f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}",
    }
    return text, origin


def _read_file(path: Path, shown: str) -> tuple[str, dict[str, Any]]:
    origin = file_origin(path)
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValue(
            "A text file is UTF-8",
            got=f"{path.name}: {error}",
            next_step="write it again in UTF-8",
        ) from error
    return text, {"kind": "text", "path": shown, **origin}
