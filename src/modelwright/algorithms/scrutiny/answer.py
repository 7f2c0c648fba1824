"""What a scrutiny says, as a record and as text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from modelwright.algorithms.scrutiny.agreement import Difference
from modelwright.algorithms.scrutiny.resemblance import Resemblance

__all__ = ["Outcome", "Scrutiny"]

Outcome = Literal["agrees", "differs", "not compared"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scrutiny:
    """An outside function beside ours.

    Attributes:
        outcome: `agrees`, `differs`, or `not compared` where it could not be called in any reading.
        subject: What it was held to.
        function: Its name.
        equation: The maths that it is held to.
        reading: How it was called: arguments, layout, conventions.
        conventions: The same as sentences; those of the outputs too.
        dress: What arrays were given as.
        cases: Cases compared, by what is special about them.
        compared: The output that each result was held to; None for one that was not compared.
        difference: The first, on the smallest input that shows it.
        differing: How many cases differ, by name.
        mistakes: Known ones that it resembles, the best first.
        remarks: What else was seen.
    """

    outcome: Outcome
    subject: str
    function: str
    equation: str
    reading: Mapping[str, Any] = field(default_factory=dict[str, Any])
    conventions: tuple[str, ...] = ()
    dress: str = ""
    cases: Mapping[str, int] = field(default_factory=dict[str, int])
    compared: tuple[str | None, ...] = ()
    difference: Difference | None = None
    differing: Mapping[str, int] = field(default_factory=dict[str, int])
    mistakes: tuple[Resemblance, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether no difference was found."""
        return self.outcome == "agrees"

    def record(self) -> dict[str, Any]:
        """Return it as JSON types."""
        first = self.difference
        return {
            "outcome": self.outcome,
            "subject": self.subject,
            "function": self.function,
            "equation": self.equation,
            "reading": dict(self.reading),
            "conventions": list(self.conventions),
            "dress": self.dress,
            "cases": dict(self.cases),
            "compared": list(self.compared),
            "difference": None
            if first is None
            else {
                "case": first.case,
                "output": first.output,
                "kind": first.kind,
                "called_with": {name: _jsonable(value) for name, value in first.told.items()},
                "inputs": {name: _jsonable(value) for name, value in first.inputs.items()},
                "theirs": _jsonable(first.theirs),
                "ours": _jsonable(first.ours),
            },
            "differing": dict(self.differing),
            "mistakes": [
                {"name": each.name, "what": each.what, "maths": each.maths, "share": each.share}
                for each in self.mistakes
            ],
            "remarks": list(self.remarks),
        }

    def __str__(self) -> str:
        head = {
            "agrees": f"{self.function} agrees with {self.subject}",
            "differs": f"{self.function} differs from {self.subject}",
            "not compared": f"{self.function} could not be compared with {self.subject}",
        }[self.outcome]
        counted = ", ".join(f"{name} ({count})" for name, count in self.cases.items())
        lines = [head + (f" on all {sum(self.cases.values())} cases." if self.agrees else ".")]
        if self.agrees:
            lines.append(f"  cases: {counted}")
        lines += [f"  read as: {each}" for each in self.conventions]
        if self.difference is not None:
            lines += self._first(self.difference)
        lines += [f"  note: {each}" for each in self.remarks]
        return "\n".join(lines)

    def _first(self, first: Difference) -> list[str]:
        total, wrong = sum(self.cases.values()), sum(self.differing.values())
        equal = [name for name in self.cases if name not in self.differing]
        lines = [f"  {wrong} of {total} cases differ" + (f"; equal: {', '.join(equal)}" if equal else "")]
        what = {
            "value": f"{first.output} is another number",
            "shape": f"{first.output} has the shape {np.shape(first.theirs)}, not {np.shape(first.ours)}",
            "not finite": f"{first.output} is not finite",
            "raises": f"it raises {first.theirs}",
            "nothing returned": "it returns nothing that holds numbers",
            "other results": "it returns another number of results than for other inputs",
            "gradient": f"{first.output} is another one, though the values agree",
        }[first.kind]
        lines.append(f"\nFirst difference: {what}. The smallest input found that shows it:")
        lines += [f"  {name:14} {_shown(value)}" for name, value in (first.told or first.inputs).items()]
        if first.ours is not None:
            lines += [
                "",
                f"  theirs         {_shown(first.theirs)}",
                f"  ours           {_shown(first.ours)}",
            ]
        if self.mistakes:
            lines.append("\nIt resembles, the likeliest first:")
            for each in self.mistakes:
                lines.append(f"  {each.name} (explains {each.share:.0%} of what differs)")
                lines += [f"    {each.what}", f"    {each.maths}"]
        else:
            lines.append(f"\nIt resembles no known mistake. The maths:\n    {self.equation}")
        return lines


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        text = np.array2string(value, precision=6, suppress_small=False, separator=", ", threshold=60)
        return text.replace("\n", "\n" + " " * 17)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _jsonable(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
