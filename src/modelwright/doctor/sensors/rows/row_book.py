"""Which rows are which: rows are known again by content, through what transformers made of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.sheet import Sheet, mixed

__all__ = ["RowBook", "Traced"]

_MOST_ROWS = 1_500_000
_MOST_PAGES = 24
_PAGE_CELLS = 400_000
_PROBES = 24
_LINKED = 0.9


@dataclass(slots=True)
class Traced:
    """Rows of a table with where they came from.

    Attributes:
        origins: (row,) number of the row that each was first; rows of equal content have one number.
        lineage: Numbers of the preparations that its values went through.
        distinct: Share of its rows whose content no other row has.
    """

    origins: NDArray[np.int64]
    lineage: frozenset[int]
    distinct: float = 1.0


@dataclass(slots=True)
class _Page:
    """A table that was seen, with its columns of many values, so that part of it can be known again."""

    number: int
    origins: NDArray[np.int64]
    lineage: frozenset[int]
    columns: NDArray[np.int64]
    cells: NDArray[np.float32]
    bits: NDArray[np.uint32]
    owners: NDArray[np.int64]
    shape: tuple[int, tuple[str, ...] | None]


class RowBook:
    """All rows seen, by content."""

    def __init__(self) -> None:
        self._origin: dict[int, tuple[int, frozenset[int]]] = {}
        self._count = 0
        self._pages: list[_Page] = []
        self._page_number = 0
        self._chosen: dict[int, tuple[frozenset[int], int]] = {}
        self._whole: dict[int, frozenset[int]] = {}
        self._named: list[tuple[tuple[str, ...], dict[int, int]]] = []

    @property
    def full(self) -> bool:
        """Whether no more rows are followed."""
        return len(self._origin) > _MOST_ROWS

    def trace(self, sheet: Sheet) -> Traced:
        """Return where a table's rows came from; rows that are new are numbered."""
        keys = sheet.keys
        listed = keys.tolist()
        known = [self._origin.get(key) for key in listed]
        distinct = len(set(listed)) / len(listed)
        found = sum(each is not None for each in known)
        linked: Traced | None = None
        if found < 0.1 * len(known):
            linked = self._link(sheet) or self._by_names(sheet)
        if linked is not None:
            origins, lineage = linked.origins, linked.lineage
        else:
            counts: dict[frozenset[int], int] = {}
            for each in known:
                if each is not None:
                    counts[each[1]] = counts.get(each[1], 0) + 1
            # A transformer may leave most rows as they were: an imputer those without gaps.
            enough = max(3, 0.02 * len(known))
            lineage = frozenset[int]().union(*(each for each, count in counts.items() if count >= enough))
            origins = np.array([-1 if each is None else each[0] for each in known], np.int64)
        lineage |= self._whole_columns(sheet)
        self._number(listed, origins, lineage)
        traced = Traced(origins, lineage, distinct)
        if found < len(known):
            self._add_page(sheet, traced)
        return traced

    def look_up(self, sheet: Sheet) -> Traced:
        """Return where rows came from without taking note of them; those never seen have number -1."""
        known = [self._origin.get(key) for key in sheet.keys.tolist()]
        lineage = frozenset[int]().union(*(each[1] for each in known if each is not None))
        return Traced(np.array([-1 if each is None else each[0] for each in known], np.int64), lineage)

    def made(self, sheet: Sheet, source: Traced, preparation: int) -> None:
        """Take note that a transformer made these rows of others, one of each."""
        lineage = source.lineage | {preparation}
        if len(sheet) != len(source.origins):
            return
        keys = sheet.keys.tolist()
        if len(set(keys)) > 0.5 * len(keys):
            for key, origin in zip(keys, source.origins.tolist(), strict=True):
                self._origin.setdefault(key, (origin, lineage))
        self._add_page(sheet, Traced(source.origins, lineage))

    def remember_columns(self, sheet: Sheet, preparation: int) -> None:
        """Take note that whole columns were made, in this order of rows, by a preparation."""
        for place in range(min(sheet.values.shape[1], 64)):
            column = sheet.values[:, place]
            if len(column) >= 20 and (column != column[0]).any():
                self._whole[hash(column.tobytes())] = frozenset((preparation,))

    def _whole_columns(self, sheet: Sheet) -> frozenset[int]:
        found = frozenset[int]()
        if self._whole:
            for place in range(min(sheet.values.shape[1], 64)):
                found |= self._whole.get(hash(sheet.values[:, place].tobytes()), frozenset())
        return found

    def _number(self, keys: list[int], origins: NDArray[np.int64], lineage: frozenset[int]) -> None:
        for place in np.flatnonzero(origins < 0).tolist():
            known = self._origin.get(keys[place])
            if known is None:
                self._count += 1
                known = self._origin[keys[place]] = (self._count, lineage)
            origins[place] = known[0]
        for key, origin in zip(keys, origins.tolist(), strict=True):
            self._origin.setdefault(key, (origin, lineage))

    def _add_page(self, sheet: Sheet, traced: Traced) -> None:
        values = sheet.values
        some = values[:: max(1, len(values) // 200)][:200]
        several = np.array([_tells_rows_apart(some[:, at]) for at in range(values.shape[1])])
        columns = np.flatnonzero(several)[: max(4, _PAGE_CELLS // len(values))]
        if not len(columns) or len(values) > _PAGE_CELLS // 4:
            return
        cells = np.ascontiguousarray(values[:, columns])
        bits = cells.view(np.uint32).ravel()
        order = np.argsort(bits, kind="stable")
        self._page_number += 1
        page = _Page(
            self._page_number,
            traced.origins,
            traced.lineage,
            columns,
            cells,
            bits[order],
            order % len(columns),
            (values.shape[1], sheet.names),
        )
        self._pages.append(page)
        if len(self._pages) > _MOST_PAGES:
            del self._pages[_MOST_PAGES // 2]

    def selects(self, sheet: Sheet, traced: Traced, support: frozenset[int], preparation: int) -> None:
        """Take note that a preparation chose some columns of a table."""
        self._add_page(sheet, traced)
        if self._pages and len(support) < sheet.values.shape[1]:
            self._chosen[self._page_number] = (support, preparation)

    def remember_names(self, sheet: Sheet, traced: Traced) -> None:
        """Take note of rows that other tables may hold with more columns beside theirs, by their names."""
        keys = sheet.keys.tolist()
        if sheet.names is not None and len(set(keys)) > _LINKED * len(keys):
            self._named.append((sheet.names, dict(zip(keys, traced.origins.tolist(), strict=True))))

    def _by_names(self, sheet: Sheet) -> Traced | None:
        """Return rows as those of an earlier table whose columns this one has, among others."""
        place = {name: at for at, name in enumerate(sheet.names or ())}
        for names, known in self._named:
            if not place.keys() >= set(names) or len(place) == len(names):
                continue
            part = np.ascontiguousarray(sheet.values[:, [place[name] for name in names]])
            found = [known.get(key, -1) for key in mixed(part).tolist()]
            if sum(each >= 0 for each in found) >= _LINKED * len(found):
                return Traced(np.array(found, np.int64), frozenset())
        return None

    def _selected(self, page: _Page, pairs: list[tuple[int, int]]) -> frozenset[int]:
        """Return the preparation that chose exactly these columns."""
        support, preparation = self._chosen.get(page.number, (None, 0))
        mine = frozenset(int(page.columns[at]) for _, at in pairs)
        if support is None or mine != support & frozenset(page.columns.tolist()):
            return frozenset()
        return frozenset((preparation,))

    def _link(self, sheet: Sheet) -> Traced | None:
        """Return rows as those of an earlier table that shares columns with this one."""
        found: list[tuple[float, _Page, NDArray[np.int64]]] = []
        taken: set[int] = set()
        lineage = frozenset[int]()
        for page in self._pages:
            if page.shape == (sheet.values.shape[1], sheet.names):
                continue  # the same columns: rows would be equal as a whole
            pairs = self._columns_of(sheet, page)
            if not pairs:
                continue
            share, origins = self._match(sheet, page, pairs)
            if share:
                found.append((share, page, origins))
                lineage |= self._selected(page, pairs)
                if not {mine for mine, _ in pairs} <= taken:
                    lineage |= page.lineage
                taken |= {mine for mine, _ in pairs}
        if not found:
            return None
        share, page, origins = max(found, key=lambda each: each[0])
        return Traced(origins, lineage)

    def _columns_of(self, sheet: Sheet, page: _Page) -> list[tuple[int, int]]:
        """Return (column of the sheet, column of the page's cells) of columns that hold the same values."""
        rows = np.unique(np.linspace(0, len(sheet) - 1, _PROBES).astype(int))
        pairs: list[tuple[int, int, int]] = []
        probes = np.ascontiguousarray(sheet.values[rows])
        for mine in range(probes.shape[1]):
            column = np.ascontiguousarray(probes[:, mine])
            if not _tells_rows_apart(column):
                continue
            bits = column.view(np.uint32)
            at = np.searchsorted(page.bits, bits)
            hit = at < len(page.bits)
            hit[hit] = page.bits[at[hit]] == bits[hit]
            if hit.sum() < max(4, 0.15 * len(rows)):
                continue
            owners = np.bincount(page.owners[at[hit]])
            owner = int(owners.argmax())
            if owners[owner] >= max(3, 0.6 * hit.sum()):
                pairs.append((int(owners[owner]), mine, owner))
        pairs.sort(key=lambda each: -each[0])
        return [(mine, owner) for _, mine, owner in pairs]

    def _match(
        self, sheet: Sheet, page: _Page, pairs: list[tuple[int, int]]
    ) -> tuple[float, NDArray[np.int64]]:
        """Return the share of rows that are known again by the shared columns, and their origins."""
        few = pairs[:6]
        mine = mixed(np.ascontiguousarray(sheet.values[:, [each for each, _ in few]]))
        theirs = mixed(np.ascontiguousarray(page.cells[:, [each for _, each in few]]))
        order = np.argsort(theirs, kind="stable")
        ordered = theirs[order]
        nothing = 0.0, np.zeros(0, np.int64)
        if len(np.unique(ordered)) < 0.8 * len(ordered) or len(np.unique(mine)) < 0.8 * len(mine):
            return nothing
        at = np.searchsorted(ordered, mine)
        hit = at < len(ordered)
        hit[hit] = ordered[at[hit]] == mine[hit]
        share = float(hit.mean())
        if share < _LINKED and hit.sum() < _LINKED * len(ordered):
            return nothing
        # What several rows share, gaps that were filled for example, does not tell which of them it is.
        again = (ordered[1:] == ordered[:-1]) & (np.diff(page.origins[order]) != 0)
        hit &= ~np.isin(mine, ordered[1:][again])
        origins = np.full(len(mine), -1, np.int64)
        origins[hit] = page.origins[order[at[hit]]]
        return share, origins


def _tells_rows_apart(column: NDArray[np.float32]) -> bool:
    """Return whether values of a column are measured numbers, which seldom agree by chance."""
    known = column[np.isfinite(column)]
    return len(np.unique(known)) > 0.3 * len(column) and bool((known != np.rint(known)).mean() > 0.5)


def share_in(rows: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """Return the share of rows that are among others."""
    return float(np.isin(rows, others).mean()) if len(rows) else 0.0
