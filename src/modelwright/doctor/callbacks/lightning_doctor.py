"""The doctor as a callback of Lightning."""

import sys
from typing import TYPE_CHECKING, Any

from modelwright.base.finding import Finding
from modelwright.doctor.callbacks.rounds import Rounds

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback
elif "pytorch_lightning" in sys.modules and "lightning" not in sys.modules:
    from pytorch_lightning.callbacks import Callback  # the same library under its older name
else:
    from lightning.pytorch.callbacks import Callback

__all__ = ["LightningDoctor"]


class LightningDoctor(Callback):
    """Watches `fit`, logs findings to the logger `modelwright.doctor`, and keeps them.

        doctor = mw.LightningDoctor()
        L.Trainer(callbacks=[doctor]).fit(module, loader)
        print(doctor.report())

    Args:
        stop_on_severe: Whether a severe finding ends training after the batch.
    """

    def __init__(self, *, stop_on_severe: bool = False) -> None:
        super().__init__()
        self._rounds = Rounds(stop_on_severe=stop_on_severe)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Begin with a fit; what is only measured teaches nothing."""
        if stage == "fit":
            self._rounds.begin()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look in, and end training where that is asked for."""
        if self._rounds.look():
            trainer.should_stop = True

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """End with the fit."""
        if stage == "fit":
            self._rounds.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End also where the fit fails."""
        self._rounds.end()

    def findings(self) -> list[Finding]:
        """Return what is wrong, the likeliest root of it first."""
        return self._rounds.doctor.findings()

    def report(self) -> str:
        """Return what is wrong as a page of text."""
        return self._rounds.doctor.report()
