"""Updates of value distributions: shares of atoms (C51) or quantiles (QR-DQN), beside what environments did.

Whole distributions are compared: shares that rewards and a discount moved and that were laid on the atoms, or
quantiles. Otherwise it is as with targets that are one number: right ways first, then wrong ones.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.distributions.action_tables import (
    ActionTables,
    means_of_other_sizes,
    quantile_tables,
    share_tables,
    shares_of,
)
from modelwright.doctor.sensors.acting.distributions.projection import Shares, ShareWorth
from modelwright.doctor.sensors.acting.distributions.reach import Reach
from modelwright.doctor.sensors.acting.distributions.shares_record import SharesRecord
from modelwright.doctor.sensors.acting.distributions.supports import Supports
from modelwright.doctor.sensors.acting.distributions.table_choices import Choice, TableFollower, choices_of
from modelwright.doctor.sensors.acting.value.batch import Batch, Links, Worth
from modelwright.doctor.sensors.acting.value.chosen_actions import ChosenActions
from modelwright.doctor.sensors.acting.value.following import Followed, Following, shapes_of
from modelwright.doctor.sensors.acting.value.links import Link
from modelwright.doctor.sensors.acting.value.record import Record
from modelwright.doctor.sensors.acting.value.seen_calls import FEWEST_ROWS, SeenCalls
from modelwright.doctor.sensors.acting.value.stored_rows import StoredRows
from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.graph import leaves_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene
from modelwright.doctor.watch.tensors import without_copies

__all__ = ["Distributions"]

Numbers = NDArray[np.float64]

_WEIGHS = frozenset({"mul", "__mul__", "rmul", "__rmul__", "kl_div", "cross_entropy"})
_SUBTRACTS = frozenset({"sub", "__sub__", "rsub", "__rsub__", "smooth_l1_loss", "huber_loss", "mse_loss"})
_ENOUGH = 3
_MOST_VAIN = 12
_MOST_PAIRS = 12
_FEWEST_PLACES = 5
_MOST_PLACES = 1001
_SAME_SHARE = 3e-5
_SAME_QUANTILE = 1e-5
_QUANTILES = 4
"""Quantiles of each row that are looked at."""


class _Pair(NamedTuple):
    shares: bool
    logits: bool
    one: Any
    other: Any
    place: Place | None


class _Main(NamedTuple):
    """The call that predictions are of, its distributions, and which of them they are (row, action)."""

    call: Seen
    table: Numbers
    same: NDArray[np.bool_]
    attached: Any


class Distributions:
    """Looks at comparisons of distributions, once rows of their batches are known.

    Args:
        scene: What all sensors know.
        seen: Calls of networks on observations.
        following: Finds what follows a batch.
        stored: Looks at which observations stand in batches.
    """

    def __init__(self, scene: Scene, seen: SeenCalls, following: Following, stored: StoredRows) -> None:
        self._scene = scene
        self._seen = seen
        self._following = following
        self._stored = stored
        self._tables = ActionTables()
        self.supports = Supports()
        self.reach = Reach(scene.experience)
        self._pairs: list[_Pair] = []
        self._vain: dict[Place | None, int] = {}
        self.records: dict[Place | None, Record] = {}
        self.attached: dict[Place | None, int] = {}
        self.chosen: dict[Place | None, ChosenActions] = {}

    def forget(self) -> None:
        """Hold no tensor of the update that is over."""
        self._pairs.clear()
        self._tables.forget()

    def called(self, seen: Seen, call: Call) -> None:
        """Hear a call on observations."""
        self._tables.called(seen, call.module)

    def computed(self, operation: Operation) -> None:
        """Hear what may be a softmax, a support, or a comparison."""
        calls = self._seen.calls
        self._tables.computed(operation, calls[-1] if calls else None)
        self.supports.heard(operation)
        shares = operation.name in _WEIGHS
        if not shares and operation.name not in _SUBTRACTS:
            return
        one, other = operation.argument(0, "input"), operation.argument(1, "target")
        if not (hasattr(one, "requires_grad") and hasattr(other, "requires_grad")):
            return
        if not (one.requires_grad or other.requires_grad) or len(self._pairs) >= _MOST_PAIRS:
            return
        if shares and one.shape != other.shape:
            return
        if all(_is_table(each) for each in (one, other)):
            logits = operation.name == "cross_entropy"
            self._pairs.append(_Pair(shares, logits, one, other, operation.place))

    def backward(self) -> None:
        """Compare what was heard since the last update."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            known = self.records.get(pair.place)
            if known is not None and known.satisfied(self._scene.experience.cuts):
                continue
            if self._vain.get(pair.place, 0) < _MOST_VAIN and not self._compare(pair):
                self._vain[pair.place] = self._vain.get(pair.place, 0) + 1

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong with the distributions themselves."""
        yield from self.reach.findings(self.supports)
        crosswise = self.supports.crosswise
        if len(crosswise) >= _ENOUGH:
            place, actions, atoms = crosswise[-1]
            yield Finding(
                kind="softmax-over-rows",
                severity=Severity.SEVERE,
                title=f"A softmax over {actions} actions is taken for shares of {atoms} atoms.",
                evidence={"products": len(crosswise), "actions": actions, "atoms": atoms},
                causes=(cause("softmax-over-wrong-axis", place),),
                next_check="take the softmax along the axis of the atoms: dim=-1",
            )

    def _compare(self, pair: _Pair) -> bool:
        """Compare one pair; returns whether there was something to compare."""
        for one, other in ((pair.one, pair.other), (pair.other, pair.one)):
            main = self._main(pair, one, other) if one.requires_grad else None
            if main is not None:
                break
        else:
            return False
        target = _rows(other, main.call.rows)
        self._stored.take(main.call, self._seen.calls)
        kept = self._following.rows(main.call)
        if target is None or len(kept) < FEWEST_ROWS or 2 * len(kept) < main.call.rows:
            return False
        if other.requires_grad and not self._is_attached(other):
            return False
        calls = list(self._following.calls(main.call, kept))
        followed = [
            (each, table) for each in calls for table in self._tables_of(each, main, kept, pair.shares)
        ]
        choosers = [] if pair.shares else list(_choosers(calls, main, kept))
        taken = _taken([each.rows for each, _ in followed])
        choices = choices_of([table for _, table in followed], taken, choosers)
        if not choices:
            return False
        record = self._record(pair, main)
        batch = self._shares(target[kept], choices) if pair.shares else _quantiles(target[kept], choices)
        if batch is None:
            return False
        found = record.take(batch)
        if not self._scene.experience.ends_are_clear:
            found = record.otherwise.take(batch.with_cuts_as_ends()) or found
        if found is None:
            return True
        if other.requires_grad:
            self.attached[pair.place] = self.attached.get(pair.place, 0) + 1
        if pair.shares:
            self.reach.fitted(found, self.supports.of(target.shape[1]), pair.place)
        of = [choice.of for choice in choices if choice.name == found.worth]
        links = next(each.rows for each, table in followed if any(table is one for one in of))
        self._take_chosen(pair, main, kept, links)
        return True

    def _is_attached(self, target: Any) -> bool:
        owned = self._following.owned()
        return any(id(leaf) in owned for leaf in leaves_of(target))

    def _record(self, pair: _Pair, main: _Main) -> Record:
        known = self.records.get(pair.place)
        if known is None:
            kind = SharesRecord if pair.shares else Record
            known = self.records[pair.place] = kind(pair.place, shapes_of(main.call))
        if isinstance(known, SharesRecord):
            for discount in self.supports.factors:
                known.heard(discount)
        return known

    def _take_chosen(self, pair: _Pair, main: _Main, kept: NDArray[np.intp], rows: list[list[Link]]) -> None:
        if main.table.shape[1] < 2:
            return
        chosen = self.chosen.setdefault(pair.place, ChosenActions(pair.place))
        expected = self._expected(main.table[kept], pair.shares)
        if expected is not None:
            chosen.take_columns(expected, main.same[kept], rows)

    # ---- tables ----

    def _main(self, pair: _Pair, prediction: Any, target: Any) -> _Main | None:
        for call in reversed(self._seen.calls):
            if not call.grad:
                continue
            said = _rows(prediction, call.rows)
            if said is None:
                continue
            for table in _tables(call, said.shape[1], pair.shares):
                for numbers in _predicted(said, pair) if pair.shares else (said,):
                    beside = numbers[:, None, :]
                    far = np.abs(table - beside)
                    limit = _SAME_SHARE if pair.shares else _SAME_QUANTILE * (1.0 + np.abs(beside))
                    same: NDArray[np.bool_] = np.all(far <= limit, axis=2)
                    if same.any(axis=1).all():
                        return _Main(call, table, same, target)
        return None

    def _tables_of(
        self, followed: Followed, main: _Main, kept: NDArray[np.intp], shares: bool
    ) -> Iterator[TableFollower]:
        call = followed.call
        links = Links.of(followed.rows)
        for table in _tables(call, main.table.shape[2], shares):
            if table.shape[1:] != main.table.shape[1:]:
                continue
            whole = np.full((main.call.rows, *table.shape[1:]), 1.0 / table.shape[2])
            whole[followed.which] = table
            expected = self._expected(whole[kept], shares)
            if expected is not None:
                learns = self._following.learns(call)
                yield TableFollower(whole[kept], expected, links, learns, call.module)

    def _expected(self, table: Numbers, shares: bool) -> Numbers | None:
        if not shares:
            return table.mean(axis=2)
        atoms = self.supports.of(table.shape[2])
        return None if atoms is None else table @ atoms

    def _shares(self, target: Numbers, choices: list[Choice]) -> Batch | None:
        atoms = self.supports.of(target.shape[1])
        if atoms is None:
            return None
        worths: list[Worth] = [
            ShareWorth(each.fault, each.name, each.of.expected.max(axis=1), each.of.links,
                       table=each.of.table, allowed=each.allowed)
            for each in choices
        ]  # fmt: skip
        return Shares(target.sum(axis=1), worths, np.zeros((0, len(target))), False, rows=target, atoms=atoms)


def _quantiles(target: Numbers, choices: list[Choice]) -> Batch | None:
    """Return a batch in which some quantiles of each row are rows of their own."""
    if any(target.shape[1] != each.of.table.shape[2] for each in choices):
        return None
    columns = np.unique(np.linspace(0, target.shape[1] - 1, _QUANTILES).round().astype(np.intp))
    at = np.arange(len(target))
    laid: dict[int, Links] = {}
    worths: list[Worth] = []
    for each in choices:
        links = laid.setdefault(id(each.of.links), each.of.links.repeated(len(columns), len(target)))
        values = each.of.table[at, each.allowed.argmax(axis=1)][:, columns].T.reshape(-1)
        worths.append(Worth(each.fault, each.name, values, links))
    return Batch(target[:, columns].T.reshape(-1), worths, np.zeros((0, target[:, columns].size)), False)


def _tables(call: Seen, places: int, shares: bool) -> Iterator[Numbers]:
    return share_tables(call, places) if shares else quantile_tables(call, places)


def _choosers(calls: list[Followed], main: _Main, kept: NDArray[np.intp]) -> Iterator[Numbers]:
    """Yield what calls on all rows, with other draws of quantiles, say that actions are worth."""
    _, actions, places = main.table.shape
    for each in calls:
        if each.call.rows == main.call.rows:
            for worth in means_of_other_sizes(each.call, actions, places):
                yield worth[kept]


def _predicted(said: Numbers, pair: _Pair) -> Iterator[Numbers]:
    """Yield shares that a prediction, its logarithm, or that turned round, may stand for."""
    if pair.logits:
        yield from shares_of(said)
    elif said.max() <= 1e-4:
        yield np.exp(said)
    elif said.min() >= -1e-4:
        yield np.exp(-said)
        yield said


def _is_table(tensor: Any) -> bool:
    """Return whether a tensor may be (row, place), with further axes of one number or of copies."""
    if not tensor.is_floating_point() or tensor.dim() < 2 or tensor.dim() > 4:
        return False
    sizes = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1 and stride]
    return len(sizes) == 2 and max(sizes) >= FEWEST_ROWS and _FEWEST_PLACES <= max(sizes) <= _MOST_PLACES


def _rows(tensor: Any, rows: int) -> Numbers | None:
    """Return a tensor as (row, place); None where it is of other rows."""
    numbers = without_copies(tensor)
    if numbers.ndim != 2:
        return None
    if len(numbers) == rows:
        return numbers
    return numbers.T if numbers.shape[1] == rows else None


def _taken(rows: list[list[list[Link]]]) -> list[int | None]:
    """Return the action that each row's transition begins with; None where several can be meant."""
    found: list[int | None] = []
    for row in rows[0] if rows else ():
        actions = {float(link.action[0]) for link in row if link.action.size == 1}
        one = actions.pop() if len(actions) == 1 else None
        found.append(int(one) if one is not None and one.is_integer() else None)
    return found
