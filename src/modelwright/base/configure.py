"""From plain values (YAML, JSON, keyword arguments) to configurations, every name and type checked."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

import numpy as np

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.setting import Settings, check_setting

__all__ = ["configure"]

Config = TypeVar("Config", bound=Settings)
_NONE = type(None)
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    _NONE: "null",
    tuple: "a list",
    Mapping: "names with values",
}


def configure(kind: type[Config], values: Mapping[str, Any], *, where: str = "") -> Config:
    """Return a configuration of this kind made of `values`.

    A whole number serves where a float is asked for and `3.0` where an integer is; nested configurations
    are made of nested mappings; lists become tuples, and NumPy's scalars plain numbers. Fields may be of
    true or false, numbers, text, Literal, tuple, Mapping, Any, other configurations, and unions of these.

    Args:
        kind: The dataclass.
        values: Field name -> value.
        where: The dotted place of the configuration in its file, for messages.

    Raises:
        UnknownName: for a name that is no field, with the nearest, and a text that is no choice.
        BadValue: for a missing value, a value of another type, or one outside its rule.
    """
    place = where or kind.place()
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            raise UnknownName(f"setting of {place}", str(name), fields)
    hints = typing.get_type_hints(kind)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        left_out = name not in values or (
            values[name] is None and not {_NONE, Any} & set(_parts(hints[name]))
        )
        if required and left_out:
            raise BadValue(
                f"{place} needs {name}: {field.metadata.get('doc', 'a value')}",
                got="nothing",
                next_step=f"set {_inside(where, name)}",
            )
    made: dict[str, Any] = {}
    for name, value in values.items():
        made[name] = _fit(_inside(where, name), value, hints[name])
        # The class checks the same, but knows not where in the file it stands.
        check_setting(_inside(where, name), fields[name], made[name])
    return kind(**made)


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _parts(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the hint alone."""
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)


def _fit(place: str, value: Any, hint: Any) -> Any:
    parts = _parts(hint)
    if Any in parts or object in parts or (value is None and _NONE in parts):
        return value
    shaped = [part for part in parts if _is_shaped(part)]
    alone = len(set(parts) - {_NONE}) == 1
    if shaped and (alone or isinstance(value, Mapping | list | tuple | Settings)):
        return _fit_shaped(place, value, shaped[0])
    return _fit_scalar(place, value.item() if isinstance(value, np.generic) else value, parts)


def _is_shaped(part: Any) -> bool:
    kind = typing.get_origin(part) or part
    return isinstance(kind, type) and issubclass(kind, tuple | Mapping | Settings)


def _fit_shaped(place: str, value: Any, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is None:
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise BadValue(f"{place} is a group of settings", got=value)
        return configure(hint, cast("Mapping[str, Any]", value), where=place)
    if origin is tuple:
        return _fit_tuple(place, value, typing.get_args(hint))
    if not isinstance(value, Mapping):
        raise BadValue(f"{place} maps names to values", got=value)
    inner = typing.get_args(hint)[1]
    pairs = cast("Mapping[str, Any]", value)
    return {str(name): _fit(f"{place}.{name}", item, inner) for name, item in pairs.items()}


def _fit_tuple(place: str, value: Any, inner: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        single = isinstance(value, str | int | float)
        raise BadValue(f"{place} is a list", got=value, nearest=f"{place}=[{value}]" if single else None)
    items = list(cast("Sequence[Any]", value))
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_fit(f"{place}[{at}]", item, inner[0]) for at, item in enumerate(items))
    if len(items) != len(inner):
        raise BadValue(f"{place} has {len(inner)} entries", got=items)
    return tuple(
        _fit(f"{place}[{at}]", item, kind) for at, (item, kind) in enumerate(zip(items, inner, strict=True))
    )


def _fit_scalar(place: str, value: Any, parts: Sequence[Any]) -> Any:
    choices = [
        choice for part in parts if typing.get_origin(part) is Literal for choice in typing.get_args(part)
    ]
    for choice in choices:
        if value == choice and isinstance(value, bool) == isinstance(choice, bool):
            return choice
    if isinstance(value, bool):
        if bool in parts:
            return value
    elif isinstance(value, float):
        if float in parts:
            return value
        if int in parts and value.is_integer():
            return int(value)
    elif isinstance(value, int):
        if int in parts:
            return value
        if float in parts and abs(value) < 2**1023:
            return float(value)
    elif isinstance(value, str):
        if str in parts:
            return value
        if any(isinstance(choice, str) for choice in choices):
            raise UnknownName(f"choice for {place}", value, [str(choice) for choice in choices])
    kinds = [*(typing.get_origin(part) or part for part in parts), *(type(choice) for choice in choices)]
    words = [
        _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
        for kind in dict.fromkeys(kinds)
        if kind is not Literal
    ]
    raise BadValue(f"{place} must be {' or '.join(words)}", got=repr(value))
