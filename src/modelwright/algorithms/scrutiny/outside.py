"""Calls an outside function on a case, in its own dress, and takes its results as arrays.

Nothing that the function does harms the comparison: it gets copies, and what it does to them, to the global
random streams or by raising is noted.
"""

import contextlib
import io
import random
import re
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, cast

import numpy as np

from modelwright.algorithms.scrutiny.reading import Reading, snake
from modelwright.algorithms.scrutiny.subject import Argument, Inputs, Subject

__all__ = [
    "DRESSES",
    "Bag",
    "Dress",
    "Failure",
    "Part",
    "call",
    "dresses_for",
    "libraries_of",
    "parts_of",
    "put_on",
    "told",
]


@dataclass(frozen=True, slots=True)
class Dress:
    """What arrays are given as.

    Attributes:
        library: `numpy`, `torch` or `list`.
        bits: Of real numbers.
        flags: Whether flags are bool; else they are 0.0 and 1.0.
    """

    library: str
    bits: int
    flags: bool

    def __str__(self) -> str:
        kind = {"numpy": "NumPy arrays", "torch": "torch tensors", "list": "lists"}[self.library]
        return f"{kind} of float{self.bits}, flags as {'bool' if self.flags else 'float'}"


DRESSES = tuple(
    Dress(library, bits, flags)
    for library, bits in (("numpy", 64), ("torch", 64), ("torch", 32), ("list", 64), ("numpy", 32))
    for flags in (False, True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What came of one call.

    Attributes:
        inputs: As the function was told them, without a looped axis.
        results: (name, array) in order; the name is empty where the function gives none.
        double: Whether results are in double precision.
        rough: Whether three digits shall do.
        remarks: What it did besides.
        failure: What it raised.
        read: What it read from a bag, `PARAMETER.NAME` -> how it was told.
        untold: Whether it wanted something from a bag that this case cannot tell.
    """

    inputs: Inputs
    results: tuple[tuple[str, Any], ...] = ()
    double: bool = True
    rough: bool = False
    remarks: tuple[str, ...] = ()
    failure: "Failure | None" = None
    read: Mapping[str, Argument] = field(default_factory=dict[str, Argument])
    untold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception of the outside function."""

    kind: str
    message: str
    line: int | None

    def __str__(self) -> str:
        place = f" in line {self.line}" if self.line is not None else ""
        return f"{self.kind}{place}: {self.message}"


def libraries_of(source: str) -> frozenset[str]:
    """Return the libraries that a function's text names; none where it would suit several."""
    torch = re.search(r"\btorch\b|\bth\.|\bF\.|\bTensor\b|\.detach\(|\.unsqueeze\(|\.gather\(|\bdim=", source)
    numpy = re.search(r"\bnp\.|\bnumpy\b|\bscipy\b|\baxis=|\bndarray\b|\.astype\(", source)
    return frozenset([*(["torch"] if torch else []), *(["numpy", "list"] if numpy else [])])


def dresses_for(source: str) -> tuple[Dress, ...]:
    """Return the dresses, in an order that suits a function of this text."""
    libraries = libraries_of(source)
    if "torch" in libraries:
        return tuple(sorted(DRESSES, key=lambda dress: dress.library != "torch"))
    return DRESSES


def parts_of(subject: Subject, reading: Reading, inputs: Inputs) -> list[Inputs]:
    """Return the inputs of each call that this case takes: one, or one for each part of a looped axis."""
    loop = reading.layout.loop
    if not loop:
        return [inputs]
    looped = {
        name: axes.index(loop) for name, axes in subject.axes.items() if loop in axes and name in inputs
    }
    count = next(np.shape(inputs[name])[at] for name, at in looped.items())
    return [
        {
            name: np.asarray(np.take(value, index, axis=looped[name])) if name in looped else value
            for name, value in inputs.items()
        }
        for index in range(count)
    ]


class _Untold(BaseException):
    """A case cannot tell what a function wants; none of its own handlers shall catch it."""


class Bag:
    """A configuration or batch: answers to every name that an argument has, as attribute and as item.

    Args:
        subject: Has the arguments.
        tell: Returns what an argument is on the present case.
        roles: Announced otherwise: they decide where a name can mean several things.
        read: Gets each name that is read, and how it was told.
        written: Gets what is written, by name.
    """

    def __init__(
        self,
        subject: Subject,
        tell: Callable[[Argument], Any],
        roles: Iterable[str],
        read: dict[str, Argument],
        written: dict[str, Any],
    ) -> None:
        self._subject = subject
        self._tell = tell
        self._roles = frozenset(roles)
        self._read = read
        self._written = written

    def __getattr__(self, name: str) -> Any:
        known = [each for each in self._subject.arguments if snake(name) in each.names]
        if not known or name.startswith("__"):
            raise AttributeError(name)
        argument = next(
            (each for each in known if each.fits(self._roles)), min(known, key=lambda each: bool(each.needs))
        )
        self._read[name] = argument
        return self._tell(argument)

    def __setitem__(self, name: str, value: Any) -> None:
        self._written[name] = value

    def update(self, values: Mapping[str, Any]) -> None:
        """Write several values, as into a dictionary."""
        self._written.update(values)

    def __getitem__(self, name: str) -> Any:
        if name in self._written:
            return self._written[name]
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(name) from error


def put_on(dress: Dress, value: Any, kind: str) -> Any:
    """Return a laid array, or number, as the outside function shall have it; always a copy."""
    if kind == "plain" or value is None or isinstance(value, str):
        return value
    if isinstance(value, float | int | np.bool_ | bool) and not isinstance(value, np.ndarray):
        if kind == "flag":
            return bool(value) if dress.flags else float(value)
        return int(value) if kind == "index" else float(value)
    array = np.asarray(value)
    if kind == "index":
        array = array.astype(np.int64)
    elif kind == "flag":
        array = array.astype(np.bool_ if dress.flags else f"f{dress.bits // 8}")
    else:
        array = array.astype(f"f{dress.bits // 8}")
    if dress.library == "torch":
        import torch

        return torch.from_numpy(np.array(array, copy=True, order="C"))
    if array.ndim == 0:
        return array.item()
    if dress.library == "list":
        return [np.array(each) if np.ndim(each) else each.item() for each in array]
    return np.array(array, copy=True, order="C")


def told(reading: Reading, inputs: Inputs, read: Mapping[str, Argument]) -> dict[str, Any]:
    """Return what the function is called with and reads from bags, as NumPy arrays in its layout."""
    shown = {**reading.arguments, **read}
    return {name: _laid(reading, each, inputs) for name, each in shown.items() if each is not None}


def _laid(reading: Reading, argument: Argument, inputs: Inputs) -> Any:
    value = argument.value(inputs)
    axes = tuple(axis for axis in argument.axes if axis != reading.layout.loop)
    if argument.kind == "list":
        return [reading.layout.lay(each, axes[1:]) for each in value]
    return reading.layout.lay(value, axes) if isinstance(value, np.ndarray) else value


def call(
    function: Callable[..., Any], subject: Subject, reading: Reading, dress: Dress, inputs: Inputs
) -> Part:
    """Call the function on one case; again where what it reads from a bag decides what else means."""

    def tell(argument: Argument) -> Any:
        value = _laid(reading, argument, inputs)
        if argument.kind == "list":
            return [put_on(dress, each, "number") for each in value]
        return put_on(dress, value, argument.kind)

    def tell_from_bag(argument: Argument) -> Any:
        if argument.value(inputs) is None:
            raise _Untold
        return tell(argument)

    bags = [name for name, argument in reading.arguments.items() if argument is None]
    roles = {each.role for each in reading.arguments.values() if each is not None}
    while True:
        read: dict[str, dict[str, Argument]] = {name: {} for name in bags}
        written: dict[str, Any] = {}
        given_to = {
            name: Bag(subject, tell_from_bag, roles, read[name], written) if each is None else tell(each)
            for name, each in reading.arguments.items()
        }
        part = _once(function, subject, reading, inputs, given_to, written)
        asked = {each.role for name in bags for each in read[name].values()}
        if asked <= roles:
            break
        roles |= asked
    every = {f"{bag}.{name}": each for bag in bags for name, each in read[bag].items()}
    return replace(part, read=every, double=part.double and dress.bits == 64)


def _once(
    function: Callable[..., Any],
    subject: Subject,
    reading: Reading,
    inputs: Inputs,
    given_to: Mapping[str, Any],
    written: Mapping[str, Any],
) -> Part:
    """Call the function with these arguments; `written` fills with what it writes into bags."""
    before = {name: _plain(value) for name, value in given_to.items() if not isinstance(value, Bag)}
    states = _random_states()
    try:
        with _quiet():
            given = function(**given_to)
    except Exception as error:
        return Part(inputs=inputs, failure=_failure(error, function))
    except _Untold:
        return Part(inputs=inputs, untold=True)
    remarks: list[str] = []
    if _random_states() != states:
        remarks.append("it draws from, or sets, a global random stream")
    changed = [name for name, old in before.items() if not _same(old, _plain(given_to[name]))]
    if isinstance(given, Bag):
        given = None
    if given is None:
        in_place = {
            output: given_to[name]
            for name, argument in reading.arguments.items()
            if argument is not None
            for role, output in subject.in_place.items()
            if argument.role == role
        }
        given = dict(written) or in_place or None
    if changed and not (subject.in_place and given is not None):
        remarks.append(f"it changes its argument{'s' * (len(changed) > 1)} {', '.join(changed)}")
    results = tuple(_results(given, subject))
    double = all(getattr(array, "dtype", None) != np.float32 for _, array in results)
    return Part(inputs=inputs, results=results, double=double, remarks=tuple(remarks))


def _failure(error: Exception, function: Callable[..., Any]) -> Failure:
    code = getattr(function, "__code__", None)
    trace, line = error.__traceback__, None
    while trace is not None:
        if code is not None and trace.tb_frame.f_code is code:
            line = trace.tb_lineno
        trace = trace.tb_next
    return Failure(kind=type(error).__name__, message=str(error).split("\n")[0][:200], line=line)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _random_states() -> tuple[Any, ...]:
    state: Any = np.random.get_state()  # noqa: NPY002 - to see whether others touch it
    found = (random.getstate(), state[1].tobytes(), state[2:])
    torch = sys.modules.get("torch")
    return found if torch is None else (*found, torch.get_rng_state().numpy().tobytes())


def _plain(value: Any) -> Any:
    """Return a value as NumPy, copied."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().numpy()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("list[Any]", value)]
    return np.array(value, copy=True) if isinstance(value, np.ndarray) else value


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(cast("list[Any]", left), cast("list[Any]", right), strict=False)
        return len(cast("list[Any]", left)) == len(cast("list[Any]", right)) and all(
            _same(a, b) for a, b in pairs
        )
    if isinstance(left, np.ndarray):
        return left.shape == np.shape(right) and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    return type(left) is type(right) and bool(left == right)


def _results(given: Any, subject: Subject) -> Iterator[tuple[str, Any]]:
    """Yield names and arrays of whatever a function returned."""
    if isinstance(given, Mapping):
        for name, value in cast("Mapping[Any, Any]", given).items():
            if (array := _array(value)) is not None:
                yield str(name), array
    elif hasattr(given, "_fields"):
        yield from _results(dict(zip(given._fields, given, strict=True)), subject)
    elif is_dataclass(given) and not isinstance(given, type):
        yield from _results({each.name: getattr(given, each.name) for each in fields(given)}, subject)
    elif isinstance(given, tuple):
        for value in cast("tuple[Any, ...]", given):
            if isinstance(value, Mapping | tuple):
                yield from _results(value, subject)
            elif (array := _array(value)) is not None:
                yield "", array
    elif isinstance(given, list) and _is_several(cast("list[Any]", given), subject):
        yield from _results(tuple(cast("list[Any]", given)), subject)
    elif (array := _array(given)) is not None:
        yield "", array


def _is_several(given: list[Any], subject: Subject) -> bool:
    """Tell several results from one that is a list of rows."""
    shapes = {np.shape(each) for each in map(_array, given) if each is not None}
    return len(shapes) > 1 and any(len(order) == len(given) for order in subject.orders)


def _array(value: Any) -> Any:
    """Return a result as a NumPy array, or None where it holds no numbers."""
    if value is None or isinstance(value, str):
        return None
    try:
        if isinstance(value, list | tuple):
            value = np.stack([np.asarray(_array(each)) for each in cast("list[Any]", value)])
        array = np.asarray(_plain(value))
    except (TypeError, ValueError, RuntimeError):
        return None
    return array if array.dtype.kind in "fiub" else None
