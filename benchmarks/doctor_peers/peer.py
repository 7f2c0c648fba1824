"""What peers have in common that listen to a program's own run."""

from typing import Any, ClassVar

from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Peer"]


class Peer(Sensor):
    """Rules that raise alarms; it hears what the doctor's sensors hear, at the same moments.

    Attributes:
        alarms: Rule -> optimizer steps taken when it was broken for the first time.
        points_at: Rule -> names of faults that its description speaks of. They are drawn widely: a rule that
            says "the learning rate or the first weights" has named both.
    """

    points_at: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.alarms: dict[str, int] = {}

    def alarm(self, rule: str) -> None:
        """Raise an alarm, once a rule."""
        assert rule in self.points_at, rule
        self.alarms.setdefault(rule, self.scene.steps)

    def end(self) -> None:
        """Judge what can only be judged at the end."""

    def record(self) -> dict[str, Any]:
        """Return the alarms, as JSON types."""
        return {"alarms": sorted(self.alarms), "steps": min(self.alarms.values(), default=None)}
