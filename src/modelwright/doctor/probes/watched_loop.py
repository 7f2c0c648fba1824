"""A short loop under the watch of the doctor's sensors."""

from modelwright.doctor.probes.fitting import fit
from modelwright.doctor.probes.fork import fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.subject import Subject
from modelwright.doctor.sensors.all import make_sensors
from modelwright.doctor.watch.torch_watch import TorchWatch
from modelwright.doctor.watch.watch import Watch

__all__ = ["WatchedLoop"]

_STEPS = 40

_ABOUT_MODELS = frozenset(
    {
        "parameters-in-no-optimizer",
        "optimizer-of-other-parameters",
        "parameters-without-gradient",
        "probabilities-into-cross-entropy",
        "no-log-probabilities-into-nll",
        "probabilities-into-logit-loss",
        "shapes-spread",
        "softmax-over-rows",
        "frequent-classes-weigh-more",
        "rows-that-stay-the-same",
        "inputs-out-of-scale",
        "units-never-on",
        "units-saturated",
        "loss-not-finite",
        "sensor-failed",
    }
)
"""Kinds that speak of the model, the loss and the data; the others speak of a loop, and this one is ours.

Weights that were loaded inside of the factory look like first ones, so nothing is said of their size.
"""


class WatchedLoop:
    """Trains a copy for forty steps, and passes on what sensors find of model, loss and data."""

    words = "what sensors see in a short loop"
    share = 1.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        missing = subject.lacks("model", "loss", "sample")
        return subject.crowds() if missing is None else missing

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.sample is not None
        if not any(each.requires_grad for each in subject.model.parameters()):
            return Outcome(unchecked=(f"{self.words}: no parameter of the model learns",))
        made = fork(subject)
        watch = Watch(make_sensors)
        instrument = TorchWatch(watch)
        instrument.start()
        try:
            watch.scene.optimizers.append(made.optimizer)
            losses = fit(made, subject.sample, _STEPS, limit)
            found = watch.findings()
        finally:
            instrument.stop()
        kept = tuple(each for each in found if each.kind in _ABOUT_MODELS)
        short = len(losses) < _STEPS and bool(losses) and abs(losses[-1]) < float("inf")
        return Outcome(
            findings=kept, unchecked=(f"{self.words}: {len(losses)} of {_STEPS} steps",) if short else ()
        )
