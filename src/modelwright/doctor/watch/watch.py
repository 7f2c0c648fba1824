"""Hears what a training program does and tells its sensors; the program's numbers stay as they are."""

import threading
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from modelwright.base.finding import Finding
from modelwright.doctor.watch.failure import failure
from modelwright.doctor.watch.rest import Rest
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Watch"]

_MOST_OPTIMIZERS, _KEPT_OPTIMIZERS = 16, 4

_EVENTS = frozenset(name for name in vars(Sensor) if name.startswith("on_"))


class _Busy(threading.local):
    """Whether a sensor is at work in this thread, of whichever watch: what it asks of torch is its own."""

    now: bool = False


_BUSY = _Busy()


class Watch:
    """Sensors, and who hears which event.

    Instruments (`torch_watch`, ...) call `tell`; they hear nothing of each other.

    Args:
        sensors: Makes the sensors from the scene.

    Attributes:
        scene: What all sensors know.
        rest: Decides when environments are not heard.
        at_pause: Called with True as a pause begins, and with False as it ends.
        seconds: Time that sensors took.
    """

    def __init__(self, sensors: Callable[[Scene], Sequence[Sensor]]) -> None:
        self.scene = Scene()
        self.rest = Rest(self.scene)
        self.at_pause: list[Callable[[bool], None]] = []
        self._live = False
        self._paused = False
        self.seconds = 0.0
        self._began = time.perf_counter()
        self._thread = threading.get_ident()
        self._lock = threading.RLock()  # findings may be asked for in another thread
        self._sensors = list(sensors(self.scene))
        self._failed: list[Finding] = []
        self._past: list[Finding] = []
        self._hearing: dict[tuple[str, bool, bool, bool], list[Callable[..., None]]] = {}

    def _hearers(self, event: str, close: bool, acts: bool, rests: bool) -> list[Callable[..., None]]:
        """Return those that are told of an event, or of an operation by its name."""
        method = event if event in _EVENTS else "on_operation"
        acting_is_heard = acts and (close or not rests)
        found = [
            getattr(sensor, method)
            for sensor in self._sensors
            if getattr(type(sensor), method) is not getattr(Sensor, method)
            and (close or method not in sensor.closely)
            and not (acts and method in sensor.unless_acting)
            and (acting_is_heard or method not in sensor.while_acting)
            and (method == event or sensor.operations is None or event in sensor.operations)
        ]
        self._hearing[event, close, acts, rests] = found
        return found

    @property
    def share(self) -> float:
        """Share of the time since it was made that sensors took."""
        return self.seconds / max(1e-9, time.perf_counter() - self._began)

    @property
    def live(self) -> bool:
        """Whether it listens."""
        return self._live and not self._paused

    @live.setter
    def live(self, live: bool) -> None:
        self._live = live

    def pause(self, paused: bool) -> None:
        """Hear nothing until the pause ends: what comes meanwhile is another program's."""
        if paused is not self._paused:
            self._paused = paused
            for told in self.at_pause:
                told(paused)

    @property
    def listens(self) -> bool:
        """Whether what happens now, in this thread, is to be told."""
        return self.live and not _BUSY.now and threading.get_ident() == self._thread

    def move(self) -> bool:
        """Listen to the present thread from now on; return whether it is another than before."""
        thread = threading.get_ident()
        moved, self._thread = thread != self._thread, thread
        return moved

    def tell(self, event: str, *what: Any) -> None:
        """Tell all sensors that hear it."""
        name = what[0].name if event == "on_operation" else event
        scene = self.scene
        state = name, scene.close, scene.environments, scene.resting
        hearing = self._hearing.get(state)
        if hearing is None:
            hearing = self._hearers(*state)
        if not hearing:
            return
        before, _BUSY.now = _BUSY.now, True
        began = time.perf_counter()
        try:
            with self._lock:
                for hear in hearing:
                    try:
                        hear(*what)
                    except Exception as error:
                        self._drop(error)
        finally:
            _BUSY.now = before
            self.seconds += time.perf_counter() - began

    @contextmanager
    def quiet(self) -> Generator[None]:
        """Hear nothing of what happens meanwhile in this thread."""
        before, _BUSY.now = _BUSY.now, True
        try:
            yield
        finally:
            _BUSY.now = before

    def begin_phase(self) -> None:
        """Keep what sensors found that look at one phase of a program at a time, and make them anew.

        Once there are many optimizers, let go of older ones and their models, and of what sensors hold of
        them: the program may have let go of them too.
        """
        optimizers, roots = self.scene.optimizers, self.scene.roots
        many = len(optimizers) > _MOST_OPTIMIZERS
        ends = [each for each in self._sensors if each.by_phase or (many and each.holds_models)]
        for sensor in ends:
            self._past += self._asked(sensor)
        if many:
            self.scene.let_go = [weakref.ref(each) for each in self.scene.learning()]
            del optimizers[:-_KEPT_OPTIMIZERS], roots[:-_KEPT_OPTIMIZERS]
        self._sensors = [type(each)(self.scene) if each in ends else each for each in self._sensors]
        self._hearing.clear()
        if many:
            for optimizer in optimizers[:-1]:  # of the newest, all are told
                self.tell("on_optimizer", optimizer)

    def _asked(self, sensor: Sensor) -> list[Finding]:
        try:
            return list(sensor.findings())
        except Exception as error:
            self._drop(error)
            return []

    def _drop(self, error: Exception) -> None:
        """Go on without the sensor that raised, and say so."""
        frame, broken = error.__traceback__, None
        while frame is not None and broken is None:
            mine = frame.tb_frame.f_locals.get("self")
            broken = next((sensor for sensor in self._sensors if sensor is mine), None)
            frame = frame.tb_next
        names = [type(broken).__name__] if broken else [type(each).__name__ for each in self._sensors]
        self._sensors = [each for each in self._sensors if broken and each is not broken]
        self._hearing.clear()
        title = f"A sensor of the doctor's failed and was left out: {', '.join(names)}."
        self._failed.append(failure(title, error))

    def findings(self) -> list[Finding]:
        """Return what all sensors have found; no warning of NumPy's about their sums reaches the user."""
        found = list(self._past)
        with self.quiet(), self._lock, np.errstate(all="ignore"):
            for sensor in tuple(self._sensors):
                found += self._asked(sensor)
        alike = {(each.kind, each.causes): each for each in reversed(found)}
        return [*(each for each in found if alike[each.kind, each.causes] is each), *self._failed]

    def end(self) -> None:
        """Say that the program has ended: what is tried out on copies is tried now."""
        with np.errstate(all="ignore"):
            self.tell("on_end")

    def stop(self) -> None:
        """Listen no more."""
        self.live = False
