"""What sensors of the doctor see where an estimator learns and is measured."""

import copy
import warnings

from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.subject import Subject
from modelwright.doctor.sensors.all import make_sensors
from modelwright.doctor.watch.listening import Listening
from modelwright.doctor.watch.watch import Watch

__all__ = ["WatchedFit"]

_ABOUT_ROWS = frozenset(
    {
        "feature-gives-target-away",
        "measured-on-training-rows",
        "missing-value-taken-for-number",
        "near-copies-across-split",
        "preparation-fitted-anew-on-held-out-rows",
        "rows-in-two-units",
        "rows-learnt-and-measured",
        "window-reaches-target",
    }
)
"""Kinds that speak of the rows; the others speak of a program, and this one is ours."""


class WatchedFit:
    """Fits the rows and scores validation rows, and passes on what sensors find of them."""

    words = "what sensors see of the rows"
    share = 1.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("estimator", "table", "held_out_table")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.table is not None
        assert subject.held_out_table is not None
        model, rows, others = copy.deepcopy(subject.estimator), subject.table.copy(), subject.held_out_table
        watch = Watch(make_sensors)
        listening = Listening(watch)
        listening.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(rows.inputs, rows.targets)
                if hasattr(model, "score"):
                    model.score(others.inputs, others.targets)
                else:
                    model.predict(others.inputs)
            watch.end()
            found = watch.findings()
        finally:
            listening.stop()
        return Outcome(findings=tuple(each for each in found if each.kind in _ABOUT_ROWS))
