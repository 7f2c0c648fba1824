"""The doctor of a loop of one's own, in a script or a notebook."""

from typing import Any

from modelwright.base.errors import NotPermitted
from modelwright.base.finding import Finding, Severity
from modelwright.doctor.card import html_of, markdown_of
from modelwright.doctor.diagnosis.diagnosis import diagnose
from modelwright.doctor.diagnosis.likelihoods import Likelihoods
from modelwright.doctor.report import report_of
from modelwright.doctor.sensors.all import make_sensors, watch_words
from modelwright.doctor.unchecked import unchecked_words
from modelwright.doctor.watch.listening import Listening
from modelwright.doctor.watch.watch import Watch

__all__ = ["Doctor"]

_FIRST_ROUND = 50
_GROWTH = 1.25


class Doctor:
    """Watches what is learnt between `start` and `stop`, and says what is wrong with it.

        with mw.Doctor() as doctor:
            train()
        print(doctor.report())

    Numbers of the watched code stay what they are without it. It listens to one thread: the one that it was
    started in, or, where nothing is learnt there, the first that learns. Models and optimizers may have been
    made before; of such models it does not know whether their first values were drawn or loaded, unless a
    layer is still as torch draws it. Each start begins anew and forgets what was found before. Several may
    watch at once.

    Args:
        patience: Least and most seconds for what is tried on copies at the end, and their share of the time
            that was watched; left out, 8 to 20 seconds and a third.

    Attributes:
        steps: Steps of optimizers that were watched.
        seconds: Seconds that listening took so far.
    """

    def __init__(self, *, patience: tuple[float, float, float] | None = None) -> None:
        self._patience = patience
        self._watch: Watch | None = None
        self._listening: Listening | None = None
        self._forget()

    def _forget(self) -> None:
        self._told: set[tuple[str, str]] = set()
        self._next_round = _FIRST_ROUND
        self._found: tuple[Finding, ...] = ()
        self._checked: tuple[str, ...] = ()
        self._unchecked: tuple[str, ...] = ()
        self.seconds = 0.0
        self._error = ""
        self.steps = 0

    # ---- begin and end ----

    def start(self) -> "Doctor":
        """Begin to watch, anew.

        Raises:
            NotPermitted: where it watches already.
        """
        if self._listening is not None:
            raise NotPermitted(
                "A doctor is stopped before it starts again",
                got="start() of one that watches",
                next_step="call stop(), or make a second Doctor()",
            )
        self._forget()
        self._watch = Watch(make_sensors)
        if self._patience is not None:
            self._watch.scene.patience = self._patience
        self._listening = Listening(self._watch)
        self._listening.start()
        return self

    def pause(self) -> None:
        """Hear nothing until `resume`: another model that learns in turn with this one, for example."""
        if self._watch is not None:
            self._watch.pause(True)

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._watch is not None:
            self._watch.pause(False)

    def stop(self, *, tries: bool = True) -> "Doctor":
        """Watch no more; what was found is kept, what was watched is not held on to.

        Args:
            tries: Whether what needs copies of the models is tried out first, within `patience`.
        """
        if self._listening is not None and self._watch is not None:
            try:
                self._watch.pause(False)
                if tries:
                    self._watch.end()
                self._ask(self._watch)
            finally:
                self._listening.stop()
                self._watch = self._listening = None
        return self

    def __enter__(self) -> "Doctor":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._error = f"{type(error).__name__}: {error}" if error is not None else ""
        self.stop()

    @property
    def watches(self) -> bool:
        """Whether it watches now."""
        return self._listening is not None

    # ---- what it says ----

    def _ask(self, watch: Watch) -> None:
        self._found = diagnose(watch.findings(), Likelihoods.measured()).findings
        self._checked = tuple(watch_words(watch.scene))
        self._unchecked = tuple(unchecked_words(watch.scene))
        self.seconds, self.steps = watch.seconds, watch.scene.steps

    def findings(self) -> list[Finding]:
        """Return what is wrong, the likeliest root of it first; while it watches, what is known so far."""
        if self._watch is not None:
            self._ask(self._watch)
        return list(self._found)

    def round(self) -> list[Finding]:
        """Return what was not told before: often called in a loop, seldom looked into.

        The first look is after 50 steps of optimizers, the following ones whenever steps have grown by a
        quarter, so that it may be asked after every step.
        """
        if self._watch is not None and self._watch.scene.steps < self._next_round:
            return []
        found = self.findings()
        self._next_round = int(max(self.steps * _GROWTH, self.steps + _FIRST_ROUND))
        new = [each for each in found if (each.kind, each.subject) not in self._told]
        self._told.update((each.kind, each.subject) for each in new)
        return new

    @property
    def is_well(self) -> bool:
        """Whether nothing was found that needs action."""
        return all(finding.severity is Severity.INFO for finding in self.findings())

    def report(self) -> str:
        """Return what is wrong as a page of text: evidence, likely causes in order, what to check next."""
        findings = self.findings()
        return report_of(f"doctor: {self._heading()}", findings, self._checked, self._unchecked)

    def record(self) -> dict[str, Any]:
        """Return what is wrong as JSON types."""
        findings = [each.record() for each in self.findings()]
        return {
            "findings": findings,
            "steps": self.steps,
            "checked": list(self._checked),
            "unchecked": list(self._unchecked),
        }

    def _heading(self) -> str:
        state = "watches" if self.watches else "watched"
        return f"{state} {self.steps} steps{f', ended by {self._error[:200]}' if self._error else ''}"

    def _repr_html_(self) -> str:
        return html_of(self._heading(), self.findings())

    def _repr_markdown_(self) -> str:
        return markdown_of(self._heading(), self.findings())

    def __repr__(self) -> str:
        action = [each.kind for each in self.findings() if each.severity is not Severity.INFO]
        return f"<Doctor {self._heading()}: {', '.join(action) or 'nothing wrong'}>"
