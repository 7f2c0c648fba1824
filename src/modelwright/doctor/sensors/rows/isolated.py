"""Checks one by one: where one raises, the others go on."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from modelwright.base.finding import Finding
from modelwright.doctor.watch.failure import failure

__all__ = ["isolated"]


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
