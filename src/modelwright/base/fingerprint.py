"""Identity by content: canonical JSON and its sha256.

Two values have one fingerprint exactly when their canonical JSON is the same text. The form follows
RFC 8785 where Python allows: keys sorted, no spaces, UTF-8, a float without a fraction written as an
integer (`1.0` and `1` are one value), other floats in their shortest exact form. NaN and infinities
have no JSON form and are refused, so that a broken number never enters a hash unseen.
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

from modelwright.base.errors import BadValue

__all__ = ["canonical_json", "fingerprint", "jsonable", "sha256_hex"]

_EXACT_INTEGERS = 2**53


def sha256_hex(content: bytes) -> str:
    """Return the sha256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def jsonable(value: object) -> Any:
    """Return `value` as plain JSON types: dict, list, str, int, float, bool, None.

    Takes dataclasses, mappings with text keys, sequences, sets (sorted), enums (their value), NumPy
    scalars and arrays.

    Raises:
        BadValue: for NaN, an infinity, a key that is not text, or any other type.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return jsonable(value.value)
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, Mapping):
        return _object(cast("Mapping[object, object]", value))
    if isinstance(value, AbstractSet):
        return sorted((jsonable(item) for item in cast("AbstractSet[object]", value)), key=json.dumps)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [jsonable(item) for item in cast("Sequence[object]", value)]
    raise BadValue("Only JSON's own types have a canonical form", got=f"a {type(value).__name__}: {value!r}")


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise BadValue("A number in a record must be finite", got=str(value))
    if value.is_integer() and abs(value) < _EXACT_INTEGERS:
        return int(value)
    return value


def _object(value: Mapping[object, object]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise BadValue("Keys of a record must be text", got=f"{key!r} ({type(key).__name__})")
        plain[key] = jsonable(item)
    return plain


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`. Errors as in `jsonable`."""
    return json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: object) -> str:
    """Return the sha256 of the canonical JSON of `value`, 64 hexadecimal digits."""
    return sha256_hex(canonical_json(value).encode())
