"""Identity by content: canonical JSON and its sha256.

Two values have one fingerprint exactly when their canonical JSON is the same text: keys sorted (by code
point), no spaces, UTF-8, floats in their shortest exact form. Unlike RFC 8785, `1.0` and `1` stay two
values, because they are two to the learners that records configure: scikit-learn's `max_features=1` is one
column and `1.0` all of them. `-0.0` and `0.0` are one. NaN and infinities have no JSON form and are refused,
so that a broken number never enters a hash unseen.
"""

import dataclasses
import enum
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["canonical_json", "fingerprint", "jsonable", "sha256_hex"]

_LONGEST_INTEGER = 10**1000  # from 10**4300 on Python itself refuses to write one out


def sha256_hex(content: bytes) -> str:
    """Return the sha256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def jsonable(value: object) -> Any:
    """Return `value` as plain JSON types: dict, list, str, int, float, bool, None.

    Takes dataclasses, mappings with text keys, sequences, sets (sorted), enums (their value), NumPy
    scalars and arrays.

    Raises:
        BadValue: for NaN, an infinity, an integer of more than 1000 digits, text that is not Unicode, a key
            that is not text, or any other type.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return jsonable(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, np.generic | np.ndarray):
        return _array(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return _object(cast("Mapping[object, object]", value))
    if isinstance(value, AbstractSet):
        return sorted((jsonable(item) for item in cast("AbstractSet[object]", value)), key=json.dumps)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [jsonable(item) for item in cast("Sequence[object]", value)]
    raise _other(value)


def _other(value: object) -> BadValue:
    return BadValue("Only JSON's own types have a canonical form", got=f"a {type(value).__name__}: {value!r}")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadValue("Text in a record is Unicode without lone surrogates", got=ascii(value)) from None
    return str.__str__(value)


def _array(value: "np.generic[Any] | NDArray[Any]") -> Any:
    items = value.tolist()
    # Dates would pass for integers, and a long double stays NumPy's own.
    if value.dtype.kind not in "biufUO" or isinstance(items, np.generic):
        raise _other(value)
    return jsonable(items)


def _integer(value: int) -> int:
    if abs(value) >= _LONGEST_INTEGER:
        raise BadValue(
            "An integer in a record has at most 1000 digits", got=f"one of {value.bit_length()} bits"
        )
    return int(value)


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise BadValue("A number in a record must be finite", got=str(value))
    return float(value) + 0.0  # a negative zero becomes zero


def _object(value: Mapping[object, object]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise BadValue("Keys of a record must be text", got=f"{key!r} ({type(key).__name__})")
        plain[_text(key)] = jsonable(item)
    return plain


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`. Errors as in `jsonable`."""
    return json.dumps(
        jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(value: object) -> str:
    """Return the sha256 of the canonical JSON of `value`, 64 hexadecimal digits."""
    return sha256_hex(canonical_json(value).encode())
