"""Classes that are counted from 0 by a network, and from 1 by the labels that it is held to."""

from collections.abc import Iterator

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Learner

__all__ = ["check_label_codes"]


def check_label_codes(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where answers from 0 to C - 1 are compared with labels from 1 to C.

    Args:
        learner: A network with its rows.
    """
    if learner.outputs < 2 or learner.lowest < 1 or learner.highest != learner.outputs:
        return
    yield Finding(
        kind="labels-counted-from-one",
        severity=Severity.SEVERE,
        title=f"{learner.name} answers with classes from 0 to {learner.outputs - 1}, and is measured by "
        f"labels from {learner.lowest:.0f} to {learner.highest:.0f}.",
        evidence={
            "outputs": learner.outputs,
            "least_label": learner.lowest,
            "largest_label": learner.highest,
        },
        causes=(cause("labels-off-by-one", learner.compared_with),),
        next_check="print predictions beside labels for ten rows that are learnt well",
        subject=learner.name,
    )
