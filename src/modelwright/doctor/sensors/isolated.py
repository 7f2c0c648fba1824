"""Checks one by one: where one raises, the others go on."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.watch.watch import SENSOR_FAILED

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
        told = traceback.extract_tb(error.__traceback__)[-1]
        name = check.__name__.strip("_").replace("_", " ")
        yield Finding(
            kind=SENSOR_FAILED,
            severity=Severity.INFO,
            title=f"A check of the doctor's failed and was left out: {name}.",
            evidence={
                "error": f"{type(error).__name__}: {error}",
                "at": f"{told.filename}:{told.lineno}",
            },
            next_check="what this check looks at was not checked; report the error",
            subject=name,
        )
