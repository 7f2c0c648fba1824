"""Checks one by one: where one raises, the others go on."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from modelwright.base.finding import Finding
from modelwright.doctor.watch.failure import SENSOR_FAILED, failure

__all__ = ["isolated", "once"]


def isolated(check: Callable[..., Iterable[Finding]], *given: Any) -> Iterator[Finding]:
    """Yield what a check finds; where it raises, an information that it was left out.

    Args:
        check: Yields findings.
        given: What it is called with.
    """
    try:
        yield from check(*given)
    except Exception as error:
        name = check.__name__.strip("_").replace("_", " ")
        yield failure(f"A check of the doctor's failed and was left out: {name}.", error, subject=name)


def once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the first finding of each kind, and every check that failed."""
    seen: set[str] = set()
    for each in findings:
        if each.kind not in seen or each.kind == SENSOR_FAILED:
            seen.add(each.kind)
            yield each
