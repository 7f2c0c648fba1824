"""What is wrong with the targets that are compared at one place."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.value.record import Record
from modelwright.doctor.sensors.acting.value.way import Fit
from modelwright.doctor.watch.experience import Experience
from modelwright.doctor.watch.place import Place

__all__ = ["WORDS", "Heard", "findings_of"]

_ENOUGH = 3
_ENOUGH_LOSSES = 3
_FULL = 1.0 - 1e-5

_BY_CHOICE = ("truncation-as-terminal",)
"""What may be meant so, where time is seen."""

_STORED = frozenset({"truncation-as-terminal", "next-observation-after-reset", "reward-sign-flipped"})
"""What goes wrong where a step's answer is stored."""

_WRONG_NEXT = "next-observation-wrong"

_OF_READING = frozenset({"truncation-as-terminal", "terminal-mask-missing"})
"""What is wrong in one reading of an end of which nobody says whether it is one, and right in the other."""

WORDS = {
    "terminal-mask-missing": "they bootstrap from where an episode had ended",
    "truncation-as-terminal": "an episode that was cut is taken for one that ended",
    "done-mask-inverted": "they bootstrap only from where an episode had ended",
    "bootstrap-missing": "they never bootstrap",
    "next-observation-after-reset": "after a cut they bootstrap from the next episode's first observation",
    "return-not-reset-at-done": "returns run on into the next episode",
    "next-observation-wrong": "they bootstrap from an observation too early",
    "probabilities-not-summing-to-one": "shares that fall on an atom itself are lost",
    "discount-power-wrong": "the discount does not grow with the steps of the return",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What else is known of the updates.

    Attributes:
        attached: Batches whose targets carry gradients.
        idle: Whether a network of the same shapes follows the one that learns, and is never asked.
        soft: Losses of a policy that count its entropy.
        acting: Place at which the environment steps.
    """

    attached: int
    idle: bool
    soft: int
    acting: Place | None


def findings_of(record: Record, heard: Heard, experience: Experience) -> Iterable[Finding]:
    """Return what no right way of computing these targets explains, and one wrong way does."""
    place, subject = record.made or record.place, str(record.place or "")
    if heard.attached >= _ENOUGH:
        yield Finding(
            kind="targets-differ-from-experience",
            severity=Severity.SEVERE,
            title="Targets of values are not detached: the loss pulls them to the predictions.",
            evidence={"batches": record.looks, "with_gradients": heard.attached},
            causes=(cause("target-not-detached", place),),
            next_check="compute targets under torch.no_grad()",
            subject=subject,
        )
    if record.looks < _ENOUGH:
        return
    wrong = [each for each in record.wrong() if each.faults]
    if not experience.ends_are_clear:
        other = record.otherwise
        wrong += [each for each in other.wrong() if each.faults]
        # One of the two readings is meant: a way that is wrong in both says what is wrong.
        wrong = [each for each in wrong if not _OF_READING & set(each.faults)]
        wrong = sorted(wrong, key=lambda each: len(each.faults)) if record.refuted and other.refuted else []
        record = record if record.refuted <= other.refuted else other
    learning = [each.fault == ":online" for each in record.right]
    if not record.refuted and all(learning) and heard.idle:
        yield Finding(
            kind="targets-differ-from-experience",
            severity=Severity.SEVERE,
            title="Targets come from the network that learns; its follower is never asked.",
            evidence={"batches": record.looks},
            causes=(cause("target-uses-online", place),),
            next_check="use the target network for what follows",
            subject=subject,
        )
    soft = record.pairs or all("mean over actions" in each.worth for each in record.right)
    hard = soft and all(each.entropy == 0.0 for each in record.right)
    if not record.refuted and hard and heard.soft >= _ENOUGH_LOSSES:
        yield Finding(
            kind="targets-without-entropy",
            severity=Severity.WARNING,
            title="The policy's loss counts its entropy, and the targets of the critics do not.",
            evidence={"batches": record.looks, "losses_with_entropy": heard.soft},
            causes=(cause("entropy-term-missing", place),),
            next_check="subtract alpha * log_prob of the next action from the next value",
            subject=subject,
        )
    known = [each.discount for each in record.right if not np.isnan(each.discount)]
    if len(known) >= _ENOUGH and min(known) >= _FULL and record.cuts and not experience.can_end:
        yield Finding(
            kind="targets-differ-from-experience",
            severity=Severity.SEVERE,
            title="Targets count what follows in full, and no episode ever ends: values have no bound.",
            evidence={"batches": record.looks, "rows_that_were_cut": record.cuts, "discount": known[-1]},
            causes=(cause("discount-missing", place),),
            next_check="multiply the value of what follows by a discount below 1",
            subject=subject,
        )
    if wrong:
        yield _finding(record, wrong, heard.acting, experience)


def _finding(record: Record, wrong: list[Fit], acting: Place | None, experience: Experience) -> Finding:
    """Return what is wrong; cuts taken for ends are for information where observations tell the time."""
    faults = wrong[0].faults
    stored = wrong[0].way.reward == ":before"
    severity = Severity.SEVERE
    names = faults
    if stored and experience.reuses_memory and _WRONG_NEXT in faults:
        # What was seen before was overwritten where the program still held it.
        names = ("observation-aliased", *faults)
    if faults == _BY_CHOICE:
        severity = Severity.INFO if experience.tells_time() else Severity.WARNING
    return Finding(
        kind="targets-differ-from-experience",
        severity=severity,
        title="Targets of values are not what the environment's answers give: "
        f"{WORDS.get(faults[0], faults[0].replace('-', ' '))}.",
        evidence={
            "batches": record.looks,
            "batches_that_no_right_way_gives": record.refuted,
            "rows_that_ended": record.ends,
            "rows_that_were_cut": record.cuts,
            "discount": None if np.isnan(wrong[0].discount) else wrong[0].discount,
            "steps_of_the_return": wrong[0].way.steps,
            "fits_every_row": [list(each.faults) for each in wrong][:5],
        },
        causes=tuple(
            cause(fault, (acting if stored or fault in _STORED else None) or record.made or record.place)
            for fault in names
        ),
        next_check="compute the target of one row that ended and of one that did not by hand",
        subject=str(record.place or ""),
    )
