"""What a watch hears of pandas: how columns and rows of a table are made before they are learnt from."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.place import place_of_caller
from modelwright.doctor.watch.sensor import Estimation
from modelwright.doctor.watch.watch import Watch

__all__ = ["PandasWatch"]

_MOST = 200
"""Calls that are told of each sort; what fills gaps again and again is no preparation."""

_LEAST_ROWS = 20
_STATISTICS = ("mean", "sum", "median", "std", "var", "min", "max", "quantile", "count")
_CUMULATIVE = ("diff", "pct_change", "cumsum")
_BY_GROUP = ("transform", "apply")
_MOST_PIECES, _PIECE_ROWS = 12, 20_000
_MOST_CODES = 10_000
_NO_CATEGORY = object()


class PandasWatch:
    """Listens to what fills, groups, codes, compares, shifts, rolls, correlates and joins.

    Each sort of call is told as an `Estimation` of its own `what`: `fill` and `group`, `code`, `compare`
    (`==` with a text or with one value for each row), `differ` (an
    array is taken off, or it off an array), `shift`, `window`, `correlate`, `join`, `table`
    (columns or rows are taken, or put into another order; of `reset_index`, `target` is what rows were
    called before), `within` (a function was asked for each group; `target` is what it did with the first).

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._patches = Patches()
        self._told: dict[str, int] = {}
        self._inside = False
        self._pieces: list[Estimation] | None = None

    def start(self, pandas: Any) -> None:
        """Begin to listen.

        Args:
            pandas: The module.
        """
        frames, groups = (pandas.Series, pandas.DataFrame), pandas.core.groupby.generic
        for kind in frames:
            self._patches.replace(kind, "fillna", self._filling)
        grouped = (groups.SeriesGroupBy, groups.DataFrameGroupBy)
        self._replace((groups.SeriesGroupBy,), ("transform", *_STATISTICS, "agg", "aggregate"), "group")
        self._replace((groups.DataFrameGroupBy,), ("transform", "mean", "agg", "aggregate"), "group")
        for owner in (pandas, pandas.Series):
            self._patches.replace(owner, "factorize", self._factorizing)
        self._patches.replace(pandas.core.arrays.categorical.CategoricalAccessor, "codes", self._coding)
        self._patches.replace(pandas.Series, "map", self._mapping)
        self._replace((pandas.Series,), ("__eq__", "eq"), "compare", _is_comparison)
        self._replace((pandas.Series,), ("__sub__", "__rsub__", "sub", "rsub"), "differ", _is_array)
        self._replace(grouped, ("apply",), "within", lambda _, first: callable(first))
        self._replace((*frames, *grouped), ("shift",), "shift")
        self._replace((*frames, *grouped), _CUMULATIVE, "window")
        windows = pandas.core.window
        kinds = (windows.rolling.Rolling, windows.expanding.Expanding, windows.ewm.ExponentialMovingWindow)
        self._replace(kinds, _STATISTICS, "window")
        self._replace((pandas.DataFrame,), ("corr", "corrwith"), "correlate")
        self._replace((pandas.DataFrame,), ("merge", "join"), "join")
        self._patches.replace(pandas, "merge", self._hearing("merge", "join", None))
        self._replace((pandas.DataFrame,), ("drop", "sort_values", "sample", "reset_index"), "table")
        self._replace((pandas.DataFrame,), ("__getitem__",), "table", _is_list)
        self._replace((pandas.Series,), ("sample",), "table")

    def stop(self) -> None:
        """Put everything back."""
        self._patches.undo()

    def _replace(
        self,
        owners: tuple[Any, ...],
        names: tuple[str, ...],
        what: str,
        wanted: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        for owner in owners:
            for name in names:
                self._patches.replace(owner, name, self._hearing(name, what, wanted))

    def _quiet(self, what: str) -> bool:
        told = self._told.get(what, 0)
        inside = self._inside or self._pieces is not None
        return inside or told >= _MOST or self._watch.scene.estimating or not self._watch.listens

    def _tell(self, told: Estimation) -> None:
        self._told[told.what] = self._told.get(told.what, 0) + 1
        self._watch.tell("on_estimation", told)

    def _hearing(
        self, name: str, what: str, wanted: Callable[[Any, Any], bool] | None
    ) -> Callable[[Any], Any]:
        """Return what makes a method tell, once it has answered, what it was asked of, and its answer."""

        def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(method)
            def heard(*args: Any, **kwargs: Any) -> Any:
                if self._pieces is not None and not self._inside and args:
                    return self._piece(what, name, method, args, kwargs)
                if self._quiet(what) or not args:
                    return method(*args, **kwargs)
                owner, first = args[0], args[1] if len(args) > 1 else next(iter(kwargs.values()), None)
                if wanted is not None and not wanted(owner, first):
                    return method(*args, **kwargs)
                called = owner.index if name == "reset_index" else None
                by_group = name in _BY_GROUP and callable(first)
                self._inside, self._pieces = not by_group, [] if by_group else None
                try:
                    output = method(*args, **kwargs)
                finally:
                    self._inside, pieces, self._pieces = False, self._pieces, None
                given = owner if hasattr(owner, "iloc") else getattr(owner, "_selected_obj", owner)
                if called is not None:
                    first, output = called, given if output is None else output
                if len(getattr(given, "shape", ())) and given.shape[0] >= _LEAST_ROWS:
                    words = str(first) if name in ("transform", "agg", "aggregate") else name
                    self._inside = True  # what sensors ask of pandas is not told
                    try:
                        place = place_of_caller(2)
                        if pieces:
                            self._tell(Estimation("within", name, owner, given, pieces, output, place))
                        if what != "within":
                            self._tell(Estimation(what, words, owner, given, first, output, place))
                    finally:
                        self._inside = False
                return output

            return heard

        return wrap

    def _piece(
        self, what: str, name: str, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Do what a function of one group asks for, and keep it where it is one of the first."""
        self._inside = True
        try:
            output = method(*args, **kwargs)
        finally:
            self._inside = False
        owner, first = args[0], args[1] if len(args) > 1 else next(iter(kwargs.values()), None)
        given: Any = owner if hasattr(owner, "iloc") else getattr(owner, "_selected_obj", None)
        plain = getattr(given, "ndim", 0) == 1 and len(given) <= _PIECE_ROWS
        kept = self._pieces if self._pieces is not None else []
        if plain and what in ("shift", "window") and len(kept) < _MOST_PIECES:
            kept.append(Estimation(what, name, owner, given, first, output, None))
        return output

    def _filling(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def heard(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if self._quiet("fill"):
                return method(owner, *args, **kwargs)
            first = args[0] if args else kwargs.get("value")
            # Told before: what fills in place changes what it is asked of.
            self._tell(Estimation("fill", "fill", None, owner, first, None, place_of_caller(2)))
            self._inside = True
            try:
                return method(owner, *args, **kwargs)
            finally:
                self._inside = False

        return heard

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

    def _mapping(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def heard(owner: Any, *args: Any, **kwargs: Any) -> Any:
            output = method(owner, *args, **kwargs)
            categories = None if self._quiet("code") else _categories_of(args[0] if args else None)
            if categories is not None and not output.isna().any():
                self._tell_codes(owner, output.to_numpy(), categories, "map")
            return output

        return heard

    def _tell_codes(self, given: Any, codes: Any, categories: Any, name: str = "codes") -> None:
        """Tell which numbers stand for which categories.

        Args:
            given: A series with their rows' labels and their name; of anything else nothing is told.
            codes: (row,)
            categories: (code,)
            name: Of what made the codes; `map` where they were written down.
        """
        if self._quiet("code") or not hasattr(given, "index") or not hasattr(given, "name"):
            return
        self._tell(Estimation("code", name, None, given, categories, codes, place_of_caller(3)))


def _categories_of(told: Any) -> list[Any] | None:
    """Return what numbers that follow each other from 0 or 1 stand for; None for anything else."""
    if not isinstance(told, dict) or not 1 < len(told) <= _MOST_CODES:
        return None
    known: dict[Any, Any] = dict(told)
    if not all(isinstance(each, int | np.integer) and not isinstance(each, bool) for each in known.values()):
        return None
    numbers = sorted(int(each) for each in known.values())
    if numbers[0] not in (0, 1) or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return None
    named = {int(number): category for category, number in known.items()}
    return [named.get(number, _NO_CATEGORY) for number in range(numbers[-1] + 1)]


def _is_list(frame: Any, columns: Any) -> bool:
    """Return whether several columns of a frame are taken."""
    return isinstance(columns, list) and len(columns) < frame.shape[1] and frame.shape[0] >= _LEAST_ROWS


def _is_array(column: Any, other: Any) -> bool:
    """Return whether an array of numbers is given, with one for each row of a column."""
    return isinstance(other, np.ndarray) and other.dtype.kind == "f" and other.shape == column.shape


def _is_comparison(column: Any, other: Any) -> bool:
    """Return whether a column is compared with a text, or with one value for each of its rows."""
    if isinstance(other, str):
        return True
    return len(getattr(other, "shape", ())) == 1 and other.shape[0] == len(column) >= _LEAST_ROWS
