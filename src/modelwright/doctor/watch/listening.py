"""The instruments of a watch: begun as libraries come in, and put back in order, of several watches too."""

import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from modelwright.doctor.watch.imports import ImportNotice
from modelwright.doctor.watch.watch import Watch

__all__ = ["Listening"]

_LOCK = threading.RLock()
_BEGUN: list["Listening"] = []
"""Those whose instruments are in place, in order: what was replaced last has to be put back first."""


class Listening:
    """From `start` to `stop` a watch hears of torch and Gymnasium, those that are imported later included.

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._instruments: list[Any] = []
        self._ended = False
        self._notice = ImportNotice({name: partial(self._begin, listen) for name, listen in _LISTEN.items()})

    def start(self) -> None:
        """Begin to listen, in this thread."""
        with _LOCK:
            _BEGUN.append(self)
            self._watch.move()
            self._watch.live = True
            known = weakref.ref(self._watch)  # what is told at a fork is told for good
            os.register_at_fork(after_in_child=lambda: _silence(known()))
            if "torch" in sys.modules:
                from modelwright.doctor.watch.earlier import note_earlier

                note_earlier(self._watch.scene)
            self._notice.start()

    def stop(self) -> None:
        """Listen no more; what was replaced is put back once those that began later have stopped."""
        with _LOCK:
            self._watch.stop()
            self._notice.stop()
            self._ended = True
            while _BEGUN and _BEGUN[-1]._ended:
                for instrument in reversed(_BEGUN.pop()._instruments):
                    instrument.stop()

    def _begin(self, listeners: tuple[Callable[[Watch], Any], ...]) -> None:
        self._instruments += [listen(self._watch) for listen in listeners]


def _silence(watch: Watch | None) -> None:
    if watch is not None:
        watch.stop()


def _listen_to_torch(watch: Watch) -> Any:
    from modelwright.doctor.watch.torch_watch import TorchWatch

    instrument = TorchWatch(watch)
    instrument.start()
    return instrument


def _listen_to_worlds(watch: Watch) -> Any:
    from modelwright.doctor.watch.world_watch import WorldWatch

    instrument = WorldWatch(watch)
    instrument.start()
    return instrument


def _listen_to_environments(watch: Watch) -> Any:
    from modelwright.doctor.watch.gym_watch import GymWatch

    instrument = GymWatch(watch)
    instrument.start()
    return instrument


def _listen_to_estimators(watch: Watch) -> Any:
    from modelwright.doctor.watch.sklearn_watch import SklearnWatch

    instrument = SklearnWatch(watch)
    instrument.start()
    return instrument


def _listen_to_metrics(watch: Watch) -> Any:
    from modelwright.doctor.watch.sklearn_watch import SklearnWatch

    instrument = SklearnWatch(watch)
    instrument.start_metrics(sys.modules["sklearn.metrics"])
    return instrument


def _listen_to_splits(watch: Watch) -> Any:
    from modelwright.doctor.watch.sklearn_watch import SklearnWatch

    instrument = SklearnWatch(watch)
    instrument.start_selection(sys.modules["sklearn.model_selection"])
    return instrument


def _listen_to_frames(watch: Watch) -> Any:
    from modelwright.doctor.watch.pandas_watch import PandasWatch

    instrument = PandasWatch(watch)
    instrument.start(sys.modules["pandas"])
    return instrument


_LISTEN = {
    "random": (_listen_to_worlds,),
    "torch": (_listen_to_torch,),
    "gymnasium": (_listen_to_environments,),
    "sklearn": (_listen_to_estimators,),
    "sklearn.metrics": (_listen_to_metrics,),
    "sklearn.model_selection": (_listen_to_splits,),
    "pandas": (_listen_to_frames,),
}
"""Library -> what begins to listen to it, once it is imported, and has `stop`."""
