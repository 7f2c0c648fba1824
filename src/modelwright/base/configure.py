"""From plain values (YAML, JSON, keyword arguments) to configurations, every name and type checked."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.setting import Settings

__all__ = ["configure"]

Config = TypeVar("Config", bound=Settings)
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "null",
    tuple: "a list",
}


def configure(kind: type[Config], values: Mapping[str, Any], *, where: str = "") -> Config:
    """Return a configuration of this kind made of `values`.

    A whole number serves where a float is asked for and `3.0` where an integer is; nested configurations
    are made of nested mappings; lists become tuples.

    Args:
        kind: The dataclass.
        values: Field name -> value.
        where: The dotted place of the configuration in its file, for messages.

    Raises:
        UnknownName: for a name that is no field, with the nearest.
        BadValue: for a missing value, a value of another type, or one outside its rule.
    """
    place = where or kind.__module__.rsplit(".", 1)[-1]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            raise UnknownName(f"setting of {place}", str(name), fields)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and values.get(name) is None:
            raise BadValue(
                f"{place} needs {name}: {field.metadata.get('doc', 'a value')}",
                got="nothing",
                next_step=f"set {f'{where}.' if where else ''}{name}",
            )
    hints = typing.get_type_hints(kind)
    made = {
        name: _fit(f"{where}.{name}" if where else name, value, hints[name]) for name, value in values.items()
    }
    return kind(**made)


def _fit(place: str, value: Any, hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Settings):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise BadValue(f"{place} is a group of settings", got=value)
        return configure(hint, cast("Mapping[str, Any]", value), where=place)
    origin = typing.get_origin(hint)
    if origin is tuple:
        return _fit_tuple(place, value, typing.get_args(hint))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise BadValue(f"{place} maps names to values", got=value)
        inner = typing.get_args(hint)[1]
        pairs = cast("Mapping[str, Any]", value)
        return {str(name): _fit(f"{place}.{name}", item, inner) for name, item in pairs.items()}
    if hint is Any or hint is object:
        return value
    return _fit_scalar(place, value, hint)


def _fit_tuple(place: str, value: Any, inner: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise BadValue(f"{place} is a list", got=value, nearest=f"{place}=[{value}]")
    items = list(cast("Sequence[Any]", value))
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_fit(f"{place}[{at}]", item, inner[0]) for at, item in enumerate(items))
    if len(items) != len(inner):
        raise BadValue(f"{place} has {len(inner)} entries", got=items)
    return tuple(_fit(f"{place}[{at}]", item, kind) for at, (item, kind) in enumerate(zip(items, inner, strict=True)))


def _fit_scalar(place: str, value: Any, hint: Any) -> Any:
    allowed: list[Any] = []
    for part in typing.get_args(hint) if _is_union(hint) else (hint,):
        # The choices of a Literal are checked by the field's own rule, with the nearest name.
        allowed.append(type(typing.get_args(part)[0]) if typing.get_origin(part) is Literal else part)
    if value is None and type(None) in allowed:
        return None
    if isinstance(value, bool):
        if bool in allowed:
            return value
    elif int in allowed and isinstance(value, int | float) and float(value).is_integer():
        return int(value)
    elif float in allowed and isinstance(value, int | float):
        return float(value)
    elif str in allowed and isinstance(value, str):
        return value
    words = [_WORDS.get(kind, getattr(kind, "__name__", str(kind))) for kind in dict.fromkeys(allowed)]
    raise BadValue(f"{place} must be {' or '.join(words)}", got=repr(value))


def _is_union(hint: Any) -> bool:
    return isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
