"""When environments are so quick that hearing each of their steps would cost a user time: the watch rests."""

from typing import Protocol

from modelwright.doctor.watch.sensor import Scene

__all__ = ["Rest"]

_HEARD_FIRST, _HEARD_LEARNING, _UPDATES = 15_000, 5_000, 6
"""Steps of environments that are heard in any case: fewer once so many stretches of acting led to updates."""

_MOST_SHARE, _LEAST_SHARE = 0.03, 0.02
"""Where sensors took more than this share of the time, environments are not heard until it is this one."""

_REST, _STRETCH = (0.9, 10_000), (0.1, 1_500)
"""Most steps for which environments rest, and are heard then: share of all before, and number."""

_WEIGHED = 2048
"""Steps after which it is weighed anew, in programs without an optimizer."""

_UNUSUAL, _FIRST_UPDATES = 4, 3
"""So many times as many steps as between any two updates after the first few are a measurement's."""


class Weighed(Protocol):
    """What takes time."""

    @property
    def share(self) -> float:
        """Share of the time that it took."""
        ...


class Rest:
    """Decides at each step of an environment whether it is heard; begins and ends where acting begins anew.

    Args:
        scene: Knows whether the watch rests, and what was heard.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._steps = -1
        self._since = self._usual = self._updates = 0
        self._until, self._unheard = _HEARD_LEARNING, 0
        self._first = 0

    def weigh(self, watch: Weighed) -> bool:
        """Rest, or hear again, before an environment steps; return whether it is the first since an update.

        Args:
            watch: Knows the share of the time that sensors took.
        """
        scene = self._scene
        self._since += 1
        updated = scene.steps != self._steps
        if updated:
            if self._updates == 1:
                self._first = scene.experience.count
            if self._updates >= _FIRST_UPDATES:
                self._usual = max(self._usual, self._since)
            self._updates += 1
            self._steps, self._since = scene.steps, 0
        elif not scene.steps and self._since > _WEIGHED:
            self._since = 0
        elif scene.resting and scene.steps and self._since > _UNUSUAL * self._usual + _UNUSUAL:
            self._end()
            return False
        else:
            return False
        heard, unheard = scene.experience.count, scene.experience.unheard
        if not scene.resting:
            learns = self._updates > _UPDATES and heard >= self._first + _HEARD_LEARNING
            enough = learns or heard >= _HEARD_FIRST
            scene.resting = enough and heard >= self._until and watch.share > _MOST_SHARE
        else:
            share, most = _REST
            long = unheard - self._unheard > min(share * (heard + self._unheard), most)
            if long or watch.share < _LEAST_SHARE:
                self._end()
        return updated

    def _end(self) -> None:
        experience = self._scene.experience
        self._scene.resting, self._unheard = False, experience.unheard
        share, most = _STRETCH
        steps = experience.count + experience.unheard
        self._until = experience.count + int(min(share * steps, most))
        experience.hear_again()
