"""The content of any fitted object as 32 bytes, the same in every process that computed the same numbers.

Pickled bytes will not do: they depend on which equal strings happen to be one object, and on padding in
records.
"""

import contextlib
import hashlib
import math
import pickle
import re
import sys
import types
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["content_digest"]

_PLACE = re.compile(r"(?<=^modelwright_user)_[0-9a-f]{16}$")
"""What a user's module is called by its place and text, which are no part of what an object holds."""

_LOCAL = re.compile(r"<(locals|lambda)>")
"""In the names of functions that others can be called by, too."""

_TIMING = re.compile(
    r"(^|_)(fit|refit|score|train|training|predict|test|eval|search|build|run|wall|cpu|total)_times?_?$"
)


def content_digest(value: object) -> NDArray[np.uint8]:
    """Return the sha256 of everything that `value` holds, (32,) bytes.

    Objects count by their class and state, functions by their name and, where they were made inside of
    another, by what they keep of it; arrays and tensors by type, shape and bytes. Measured durations (keys
    such as `mean_fit_time`) are left out: they never repeat.
    """
    digest = hashlib.sha256()
    _feed(digest, value, {})
    return np.frombuffer(digest.digest(), np.uint8)


def _feed(digest: Any, value: Any, seen: dict[int, tuple[int, Any]]) -> None:
    if value is None or isinstance(value, bool | int | str | bytes | complex):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
        return
    if isinstance(value, float):
        digest.update(f"float:{'nan' if math.isnan(value) else value.hex()};".encode())
        return
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        digest.update(f"name:{_PLACE.sub('', str(value.__module__))}.{value.__qualname__};".encode())
        if not isinstance(value, types.FunctionType) or _LOCAL.search(value.__qualname__) is None:
            return
    elif isinstance(value, types.ModuleType):
        digest.update(f"module:{_PLACE.sub('', value.__name__)};".encode())
        return
    if id(value) in seen:
        # An object met before, perhaps inside itself; kept alive so that its id stays its own.
        digest.update(f"again:{seen[id(value)][0]};".encode())
        return
    if not isinstance(value, np.ndarray | np.generic | tuple):
        seen[id(value)] = (len(seen), value)
    torch: Any = sys.modules.get("torch")
    if isinstance(value, np.ndarray | np.generic):
        _feed_array(digest, np.asarray(value), seen)
    elif isinstance(value, types.FunctionType):
        _feed_kept(digest, value, seen)
    elif torch is not None and isinstance(value, torch.Tensor) and _is_plain(value):
        _feed_tensor(digest, value, torch)
    elif isinstance(value, Mapping):
        items = sorted(cast("Mapping[Any, Any]", value).items(), key=lambda item: repr(item[0]))
        kept = [item for item in items if not (isinstance(item[0], str) and _TIMING.search(item[0]))]
        _feed_all(digest, "mapping", [part for item in kept for part in item], seen)
    elif isinstance(value, list | tuple):
        _feed_all(digest, "list", list(cast("list[Any]", value)), seen)
    elif isinstance(value, AbstractSet):
        _feed_all(digest, "set", sorted(cast("AbstractSet[Any]", value), key=repr), seen)
    else:
        _feed_object(digest, value, seen)


def _feed_all(digest: Any, what: str, values: list[Any], seen: dict[int, tuple[int, Any]]) -> None:
    digest.update(f"{what}:{len(values)};".encode())
    for value in values:
        _feed(digest, value, seen)


def _feed_array(digest: Any, array: NDArray[Any], seen: dict[int, tuple[int, Any]]) -> None:
    digest.update(f"array:{array.dtype.str}:{array.shape};".encode())
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _feed_array(digest, array[name], seen)
    elif array.dtype.hasobject:
        for item in array.ravel().tolist():
            _feed(digest, item, seen)
    else:
        digest.update(np.ascontiguousarray(array).tobytes())


def _feed_kept(digest: Any, function: types.FunctionType, seen: dict[int, tuple[int, Any]]) -> None:
    """Feed what a function keeps of the one that made it; what no pickle takes counts by its class."""
    kept = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # one that is not filled yet
            kept.append(cell.cell_contents)
    for value in kept:
        part = hashlib.sha256()
        try:
            _feed(part, value, seen)
        except (TypeError, AttributeError, pickle.PicklingError):
            part = hashlib.sha256(type(value).__qualname__.encode())
        digest.update(part.digest())


def _is_plain(tensor: Any) -> bool:
    """Return whether its numbers lie one after another, as those of sparse tensors do not."""
    return str(tensor.layout) == "torch.strided" and not tensor.is_quantized and not tensor.is_meta


def _feed_tensor(digest: Any, tensor: Any, torch: Any) -> None:
    """Feed numbers: what torch pickles has places in memory in it."""
    digest.update(f"tensor:{tensor.dtype}:{tuple(tensor.shape)}:{tensor.requires_grad};".encode())
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())


def _feed_object(digest: Any, value: Any, seen: dict[int, tuple[int, Any]]) -> None:
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        digest.update(f"global:{reduced};".encode())
        return
    maker, arguments, *rest = reduced
    kind = type(value)
    name = f"{_PLACE.sub('', str(kind.__module__))}.{kind.__qualname__}"
    digest.update(f"object:{name}:{getattr(maker, '__name__', '')};".encode())
    _feed(digest, arguments, seen)
    for part in rest:
        # State is a mapping; the items of lists and mappings come as iterators.
        _feed(digest, list(part) if hasattr(part, "__next__") else part, seen)
