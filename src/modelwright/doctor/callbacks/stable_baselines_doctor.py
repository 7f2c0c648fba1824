"""The doctor as a callback of Stable-Baselines3."""

from stable_baselines3.common.callbacks import BaseCallback

from modelwright.base.finding import Finding
from modelwright.doctor.callbacks.rounds import Rounds

__all__ = ["StableBaselinesDoctor"]


class StableBaselinesDoctor(BaseCallback):
    """Watches `learn`, logs findings to the logger `modelwright.doctor`, and keeps them.

        doctor = mw.StableBaselinesDoctor()
        PPO("MlpPolicy", "CartPole-v1").learn(10_000, callback=doctor)
        print(doctor.report())

    Where `learn` raises, call `close()`: the library does not say so to its callbacks.

    Args:
        stop_on_severe: Whether a severe finding ends training.
        verbose: As the library has it.
    """

    def __init__(self, *, stop_on_severe: bool = False, verbose: int = 0) -> None:
        super().__init__(verbose)
        self._rounds = Rounds(stop_on_severe=stop_on_severe)

    def _on_training_start(self) -> None:
        self._rounds.begin()

    def _on_step(self) -> bool:
        return not self._rounds.look()

    def _on_training_end(self) -> None:
        self._rounds.end()

    def close(self) -> None:
        """Stop watching; nothing where it has stopped."""
        self._rounds.end()

    def findings(self) -> list[Finding]:
        """Return what is wrong, the likeliest root of it first."""
        return self._rounds.doctor.findings()

    def report(self) -> str:
        """Return what is wrong as a page of text."""
        return self._rounds.doctor.report()
