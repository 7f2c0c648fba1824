"""Fields of configurations: documented, range-checked, and the only schema.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Settings):
        width: int = setting(16, doc="Hidden units in each layer.", low=1)

A configuration is a frozen dataclass beside the code that it configures. `Settings` checks every field
when an object is made, so a bad value is refused before anything runs.
"""

import dataclasses
import math
import typing
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from modelwright.base.errors import BadValue, UnknownName

__all__ = ["Settings", "check_setting", "describe_settings", "setting"]


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
        low: Smallest allowed value; of a tuple, of each item, and so with the other rules.
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
    """Base of every configuration; checks the declared rule of each field.

    A whole number in a field of floats becomes a float, so that equal settings have equal records.
    """

    PLACE: ClassVar[str] = ""
    """Where it stands in a design's file, for messages; its module's name where left out."""

    @classmethod
    def place(cls) -> str:
        """Return where it stands in a design's file, for messages."""
        return cls.PLACE or cls.__module__.rsplit(".", 1)[-1]

    def __post_init__(self) -> None:
        place = self.place()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            check_setting(f"{place}.{field.name}", field, value)
            kinds = typing.get_args(field.type) or (field.type,)
            if type(value) is int and float in kinds and int not in kinds:
                object.__setattr__(self, field.name, float(value))


def check_setting(place: str, field: "dataclasses.Field[Any]", value: object) -> None:
    """Check a value against the rule of its field. None passes: whether it may be null is a matter of type.

    Args:
        place: Where the value stands, dotted, for messages.
        field: Made with `setting`.
        value: What it shall hold.

    Raises:
        UnknownName: for a text that is no choice, with the nearest.
        BadValue: for a number out of range, and for one that is not finite.
    """
    if value is None:
        return
    rule = field.metadata
    choices = rule.get("choices")
    bounds = [rule.get(key) for key in ("low", "high", "above", "below")]
    for item in cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,):
        if choices is not None and item not in choices:
            raise UnknownName(f"choice for {place}", str(item), [str(choice) for choice in choices])
        if any(bound is not None for bound in bounds):
            _check_number(place, item, bounds)
        elif isinstance(item, float) and not math.isfinite(item):
            raise BadValue(f"{place} must be a finite number", got=item)


def _check_number(place: str, value: object, bounds: Sequence[float | None]) -> None:
    low, high, above, below = bounds
    texts = [
        f"{word} {_text(bound)}"
        for word, bound in (("at least", low), ("at most", high), ("above", above), ("below", below))
        if bound is not None
    ]
    rule = f"{place} must be a number {' and '.join(texts)}"
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise BadValue(rule, got=value)

    def holds(number: float) -> bool:
        return (
            (low is None or number >= low)
            and (high is None or number <= high)
            and (above is None or number > above)
            and (below is None or number < below)
        )

    if not holds(value):
        end = high if high is not None and value > high else low
        raise BadValue(rule, got=value, nearest=_text(end) if end is not None and holds(end) else None)


def _text(number: float) -> str:
    """Return the shortest exact text, without a fraction of zero."""
    whole = isinstance(number, int) or (number.is_integer() and abs(number) < 1e15)
    return repr(int(number)) if whole else repr(number)


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
                "type": field.type.__name__ if isinstance(field.type, type) else str(field.type),
                "required": required,
                "default": None if required else default,
                **field.metadata,
            }
        )
    return rows
