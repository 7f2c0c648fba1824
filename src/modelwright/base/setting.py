"""Fields of configurations: documented, range-checked, and the only schema.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Settings):
        width: int = setting(16, doc="Hidden units in each layer.", low=1)

A configuration is a frozen dataclass beside the code that it configures. `Settings` checks every field
when an object is made, so a bad value is refused before anything runs.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, cast

from modelwright.base.errors import BadValue, UnknownName

__all__ = ["Settings", "describe_settings", "setting"]


def setting(
    default: Any = dataclasses.MISSING,
    *,
    doc: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Sequence[str] | None = None,
    factory: Any = dataclasses.MISSING,
) -> Any:
    """Declare a field.

    Args:
        default: Its default; required where left out.
        doc: One sentence, with the unit.
        low: Smallest allowed value.
        high: Largest allowed value.
        above: The value must be greater than this.
        below: The value must be less than this.
        choices: The allowed texts.
        factory: Makes the default, for mutable ones.
    """
    rule = {"doc": doc, "low": low, "high": high, "above": above, "below": below, "choices": choices}
    if factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=factory, metadata=rule)
    return dataclasses.field(default=default, metadata=rule)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Base of every configuration; checks the declared rule of each field."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name), type(self))


def _check(field: "dataclasses.Field[Any]", value: object, owner: type) -> None:
    rule = field.metadata
    module = owner.__module__.rsplit(".", 1)[-1]
    name = f"{module}.{field.name}"
    if rule.get("choices") is not None and value is not None and value not in rule["choices"]:
        raise UnknownName(f"choice for {name}", str(value), [str(choice) for choice in rule["choices"]])
    bounds = [rule.get(key) for key in ("low", "high", "above", "below")]
    if all(bound is None for bound in bounds) or value is None:
        return
    items = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    for item in items:
        _check_number(name, item, *bounds)


def _check_number(
    name: str, value: object, low: float | None, high: float | None, above: float | None, below: float | None
) -> None:
    texts = [
        f"{word} {bound:g}"
        for word, bound in (("at least", low), ("at most", high), ("above", above), ("below", below))
        if bound is not None
    ]
    rule = f"{name} must be a number {' and '.join(texts)}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadValue(rule, got=value)
    broken = (
        (low is not None and value < low)
        or (high is not None and value > high)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    )
    if broken:
        nearest = min(max(value, low if low is not None else value), high if high is not None else value)
        raise BadValue(rule, got=value, nearest=f"{nearest:g}" if nearest != value else None)


def describe_settings(config: type) -> list[dict[str, Any]]:
    """Return one row per field: name, type, default, rule and doc; for help texts and docs."""
    rows: list[dict[str, Any]] = []
    for field in dataclasses.fields(config):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        made = None if field.default_factory is dataclasses.MISSING else field.default_factory()
        default = made if field.default is dataclasses.MISSING else field.default
        rows.append(
            {
                "name": field.name,
                "type": field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type)),
                "required": required,
                "default": None if required else default,
                **field.metadata,
            }
        )
    return rows
