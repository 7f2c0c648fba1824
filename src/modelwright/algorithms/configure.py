"""A configuration from plain values: every name known, every value of its field's type."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.setting import Settings

__all__ = ["configure"]

Config = TypeVar("Config", bound=Settings)


def configure(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Return a configuration of this kind with `values`; whole floats become integers where one is asked for.

    Raises:
        UnknownName: for a name that is no field, with the nearest.
        BadValue: for a value of another type, or outside its rule.
    """
    names = [field.name for field in dataclasses.fields(kind)]
    learner = kind.__module__.rsplit(".", 1)[-1]
    for name in values:
        if name not in names:
            raise UnknownName(f"setting of {learner}", name, names)
    hints = typing.get_type_hints(kind)
    return kind(**{name: _fit(f"{learner}.{name}", value, hints[name]) for name, value in values.items()})


def _fit(name: str, value: object, hint: Any) -> object:
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
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
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        type(None): "null",
    }
    raise BadValue(f"{name} must be {' or '.join(words[kind] for kind in allowed)}", got=repr(value))
