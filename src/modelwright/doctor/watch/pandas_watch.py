"""What a watch hears of pandas: gaps that are filled, statistics of groups, and codes of categories."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.place import place_of_caller
from modelwright.doctor.watch.sensor import Estimation
from modelwright.doctor.watch.watch import Watch

__all__ = ["PandasWatch"]

_MOST = 200
"""Calls that are told; what fills gaps again and again is no preparation."""


class PandasWatch:
    """Listens to `fillna`, `groupby(...).transform(...)`, `factorize` and `cat.codes`.

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._patches = Patches()
        self._told = 0
        self._inside = False

    def start(self, pandas: Any) -> None:
        """Begin to listen.

        Args:
            pandas: The module.
        """
        for kind in (pandas.Series, pandas.DataFrame):
            self._patches.replace(kind, "fillna", self._heard("fill"))
        self._patches.replace(pandas.core.groupby.generic.SeriesGroupBy, "transform", self._heard("group"))
        for owner in (pandas, pandas.Series):
            self._patches.replace(owner, "factorize", self._factorizing)
        self._patches.replace(pandas.core.arrays.categorical.CategoricalAccessor, "codes", self._coding)

    def stop(self) -> None:
        """Put everything back."""
        self._patches.undo()

    def _heard(self, what: str) -> Callable[[Any], Any]:
        def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(method)
            def heard(owner: Any, *args: Any, **kwargs: Any) -> Any:
                quiet = self._inside or self._told >= _MOST or self._watch.scene.estimating
                if quiet or not self._watch.listens:
                    return method(owner, *args, **kwargs)
                place = place_of_caller(2)
                first = args[0] if args else kwargs.get("value", kwargs.get("func"))
                given = owner.obj if what == "group" else owner
                if what == "fill":
                    # Told before: what fills in place changes what it is asked of.
                    self._told += 1
                    self._watch.tell("on_estimation", Estimation(what, what, None, given, first, None, place))
                self._inside = True
                try:
                    output = method(owner, *args, **kwargs)
                finally:
                    self._inside = False
                if what == "group":
                    self._told += 1
                    self._watch.tell(
                        "on_estimation", Estimation(what, str(first), None, given, first, output, place)
                    )
                return output

            return heard

        return wrap

    def _factorizing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def heard(values: Any, *args: Any, **kwargs: Any) -> Any:
            codes, categories = output = method(values, *args, **kwargs)
            self._tell_codes(values, codes, categories)
            return output

        return heard

    def _coding(self, codes: Any) -> Any:
        def heard(accessor: Any) -> Any:
            found = codes.fget(accessor)
            # The codes have no name; their column has.
            self._tell_codes(found.rename(accessor._name), found.to_numpy(), accessor.categories)
            return found

        return property(heard)

    def _tell_codes(self, given: Any, codes: Any, categories: Any) -> None:
        """Tell which numbers stand for which categories.

        Args:
            given: A series with their rows' labels and their name; of anything else nothing is told.
            codes: (row,)
            categories: (code,)
        """
        quiet = self._inside or self._told >= _MOST or self._watch.scene.estimating
        if quiet or not self._watch.listens or not hasattr(given, "index") or not hasattr(given, "name"):
            return
        self._told += 1
        told = Estimation("code", "codes", None, given, categories, codes, place_of_caller(2))
        self._watch.tell("on_estimation", told)
