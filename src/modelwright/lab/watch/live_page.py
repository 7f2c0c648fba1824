"""The page that the live view keeps up to date, and the one that it ends with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modelwright.experiment.look import Look, Reading
from modelwright.experiment.question import Question
from modelwright.experiment.verdict import Verdict
from modelwright.lab.watch.interval_bar import Axis, draw_axis, draw_interval, legend
from modelwright.lab.wording import (
    OUTCOME_STYLES,
    clean,
    describe_decision,
    describe_difference,
    describe_question,
    shorten_path,
    show_mean,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.segment import Segment

    from modelwright.lab.prepare import Prepared  # brings the learners; a record is shown without them

__all__ = ["LivePage", "Note", "comparison_block", "verdict_page"]

_NARROWEST_BAR = 14
_WIDEST_BAR = 60
_GAP = 2
_LONGEST_NAME = 14
_MOST_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Note:
    """One line that stays: a finding, trials that are reused, a lost worker.

    Attributes:
        word: What it is.
        text: What it says.
        style: Of the word.
        keep: Whether it is shown however small the screen.
    """

    word: str
    text: str
    style: str
    keep: bool = False


@dataclass(slots=True)
class LivePage:
    """What is known so far.

    Attributes:
        prepared: The experiment, once it is open.
        notes: Findings and events.
        looks: Looks taken.
        progress: Variant -> (finished trials, trials wanted by the next look).
        updates: Variant -> updates so far.
        doing: What is going on; empty when nothing is.
        begun: When, on the view's clock.
        whole: Whether everything is shown, however small the screen.
    """

    prepared: "Prepared | None" = None
    notes: list[Note] = field(default_factory=list[Note])
    looks: list[Look] = field(default_factory=list[Look])
    progress: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    updates: Mapping[str, int] = field(default_factory=dict[str, int])
    doing: str = ""
    begun: float = 0.0
    whole: bool = False
    _drawn: "tuple[object, tuple[bool, RenderableType]] | None" = field(default=None, repr=False)

    def draw(self, console: "Console", *, seconds: float) -> "RenderableType":
        """Return the page, with as many notes and looks as the screen has room for.

        What only events change is drawn once after each event: a frame costs next to nothing.
        """
        from rich.console import Group

        room = console.size.height - 1 - (len(self.progress) + 2 if self.doing else 0)
        state = (console.width, room, len(self.notes), len(self.looks), self.prepared is None, self.whole)
        if self._drawn is None or self._drawn[0] != state:
            self._drawn = state, self._still(console, room)
        tight, still = self._drawn[1]
        return Group(still, *self._activity(console, seconds, tight=tight))

    def _still(self, console: "Console", room: int) -> "tuple[bool, RenderableType]":
        from rich.console import Group
        from rich.segment import SegmentLines

        looks, notes = max(1, min(len(self.looks), _MOST_LOOKS)), len(self.notes)
        # What gives way first: earlier looks but two, events, the second look, decided comparisons.
        tries = [(most, notes, False) for most in range(looks, min(2, looks) - 1, -1)]
        tries += [(min(2, looks), most, False) for most in range(notes - 1, -1, -1)]
        tries += [(1, 0, False), (1, 0, True)]
        lines: list[list[Segment]] = []
        tight = False
        for most_looks, most_notes, tight in tries:
            parts = [
                *self._head(tight=tight),
                *self._notes(most_notes),
                *self._comparisons(console, most_looks, tight=tight),
            ]
            lines = console.render_lines(Group(*parts), pad=False) if parts else []
            if self.whole or len(lines) <= room:
                break
        return tight, SegmentLines(lines if self.whole else lines[: max(0, room)], new_lines=True)

    def _head(self, *, tight: bool) -> list["RenderableType"]:
        from rich.text import Text

        if self.prepared is None:
            return []
        design = self.prepared.design
        title = Text.assemble((design.name, "bold"), "  ", (clean(design.question.hypothesis), "italic"))
        if tight:
            title.no_wrap, title.overflow = True, "ellipsis"
            return [title]
        return [
            title,
            Text(describe_question(design.question), style="dim"),
            Text(self.prepared.rule.name, style="dim"),
        ]

    def _notes(self, most: int) -> list["RenderableType"]:
        from rich.table import Table
        from rich.text import Text

        if not self.notes:
            return []
        spare = max(0, most - sum(note.keep for note in self.notes))
        others = [at for at, note in enumerate(self.notes) if not note.keep]
        shown = {at for at, note in enumerate(self.notes) if note.keep} | set(others[len(others) - spare :])
        grid = Table.grid(padding=(0, _GAP, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column()
        for at, note in enumerate(self.notes):
            if at in shown:
                grid.add_row(Text(note.word, style=note.style), Text(note.text))
        if len(shown) < len(self.notes):
            grid.add_row(Text("...", style="dim"), Text(f"{len(self.notes) - len(shown)} more", style="dim"))
        return [Text(""), grid]

    def _comparisons(self, console: "Console", most: int, *, tight: bool) -> list["RenderableType"]:
        from rich.text import Text

        if not self.looks or self.prepared is None:
            return []
        question = self.prepared.design.question
        last = self.looks[-1]
        parts: list[RenderableType] = []
        for reading in last.readings:
            if tight and reading.outcome is not None and reading.look < last.index:
                parts.append(_one_line(reading))
                continue
            if not tight:
                parts.append(Text(""))
            parts += comparison_block(
                console, question, self.looks, reading.candidate, reading.baseline, most=most
            )
        if not tight:
            parts += [Text(legend(ascii_only=console.options.ascii_only), style="dim"), Text("")]
        head = f"look {last.index + 1} of {len(self.prepared.rule.looks)}: "
        parts.append(Text.assemble((head, "bold"), describe_decision(last)))
        return parts

    def _activity(self, console: "Console", seconds: float, *, tight: bool) -> list["RenderableType"]:
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        if not self.doing:
            return []
        parts: list[RenderableType] = [] if tight else [Text("")]
        if self.progress:
            grid = Table.grid(padding=(0, _GAP, 0, 0))
            grid.add_column(
                no_wrap=True, overflow="ellipsis", max_width=max(_LONGEST_NAME, console.width // 4)
            )
            grid.add_column(no_wrap=True)
            grid.add_column(no_wrap=True, justify="right")
            grid.add_column(no_wrap=True)
            for name, (done, wanted) in self.progress.items():
                grid.add_row(
                    Text(name),
                    _progress_bar(done, wanted, min(24, max(8, console.width // 4)), console),
                    Text(f"{done} of {wanted} trials"),
                    Text(self._updates(name), style="dim"),
                )
            parts.append(grid)
        clock = f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
        spinner = "line" if console.options.ascii_only else "dots"
        parts.append(Spinner(spinner, Text(f"{self.doing}, {clock}", style="dim"), style="cyan"))
        return parts

    def _updates(self, name: str) -> str:
        made = self.updates.get(name, 0)
        if not made:
            return ""
        total = None if self.prepared is None else self.prepared.design.variants[name].get("updates")
        of = f" of {total:,}" if isinstance(total, int) and total >= made else ""
        return f"{made:,}{of} update{'s' * (made != 1 or bool(of))}"


def _progress_bar(done: int, wanted: int, width: int, console: "Console") -> "RenderableType":
    """Return a bar that can be read without colours too."""
    from rich.text import Text

    full, empty = ("#", ".") if console.options.ascii_only else ("█", "░")
    filled = width * done // max(1, wanted)
    return Text.assemble(
        (full * filled, "green" if done == wanted else "cyan"), (empty * (width - filled), "dim")
    )


def comparison_block(
    console: "Console",
    question: Question,
    looks: Sequence[Look],
    candidate: str,
    baseline: str,
    *,
    most: int | None = None,
) -> list["RenderableType"]:
    """Return one comparison: a row with means, difference and bar for each look, then what the rule says.

    Args:
        console: Where it will be printed; decides the width of the bars.
        question: Margin and smallest effect.
        looks: In turn.
        candidate: The comparison's first variant.
        baseline: Its second.
        most: At most so many looks, the last ones.
    """
    from rich.table import Table
    from rich.text import Text

    rows = [
        (look, reading)
        for look in looks
        for reading in look.readings
        if (reading.candidate, reading.baseline) == (candidate, baseline) and reading.look == look.index
    ]
    shown = rows[len(rows) - min(most or len(rows), len(rows)) :]
    last = rows[-1][1]
    texts = [_row_texts(look, reading, last) for look, reading in shown]
    names = [_short(candidate), _short(baseline)]
    titles = ["seeds", *names, "difference"]
    widths = [max(len(title), *(len(row[at]) for row in texts)) for at, title in enumerate(titles)]
    columns = [0, 1, 2, 3]
    room = console.width - sum(widths) - 4 * _GAP
    if room < _NARROWEST_BAR:  # a bar says more than two means
        columns = [0, 3]
        room = console.width - widths[0] - widths[3] - 2 * _GAP
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    for at in columns:
        grid.add_column(justify="left" if at == 3 else "right", no_wrap=True)
    heading = [Text(titles[at], style="dim") for at in columns]
    bar = min(_WIDEST_BAR, room)
    axis = None
    if bar >= _NARROWEST_BAR:
        axis = _axis(question, [reading for _, reading in rows], bar, console)
        grid.add_column(no_wrap=True)
        heading.append(draw_axis(axis))
    grid.add_row(*heading)
    for (_, reading), row in zip(shown, texts, strict=True):
        cells = [Text(row[at]) for at in columns]
        if axis is not None:
            style = "bold " + OUTCOME_STYLES[reading.outcome.value] if reading.outcome else "bold"
            cells.append(draw_interval(axis, reading.interval, style=style))
        grid.add_row(*cells)
    word, _, rest = last.says.partition(":")
    left_out = len(rows) - len(shown)
    head = Text.assemble((f"{candidate} over {baseline}", "bold"))
    if left_out:
        head.append(f"  ({left_out} earlier look{'s' * (left_out != 1)} not shown)", style="dim")
    style = OUTCOME_STYLES.get(word, "")
    return [head, grid, Text.assemble((word, style), ":" + rest)]


def _one_line(reading: Reading) -> "RenderableType":
    from rich.text import Text

    outcome = "open" if reading.outcome is None else reading.outcome.value
    text = Text.assemble(
        (f"{reading.candidate} over {reading.baseline}", "bold"),
        f"  {describe_difference(reading.interval)}  ",
        (outcome, OUTCOME_STYLES[outcome]),
    )
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _row_texts(look: Look, reading: Reading, last: Reading) -> list[str]:
    means = [show_mean(look.means[name], last) for name in (reading.candidate, reading.baseline)]
    return [str(reading.seeds), *means, describe_difference(reading.interval)]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."


def _axis(question: Question, readings: Sequence[Reading], width: int, console: "Console") -> Axis:
    return Axis.around(
        [reading.interval for reading in readings],
        margin=question.margin,
        smallest=question.smallest_effect,
        width=width,
        plain=console.options.ascii_only,
    )


def verdict_page(
    console: "Console", verdict: Verdict, report: Path | None, commands: Sequence[tuple[str, str]]
) -> None:
    """Print the verdict, what it speaks of, where the report is and what to try next."""
    from rich.rule import Rule
    from rich.style import Style
    from rich.text import Text

    style = OUTCOME_STYLES[verdict.outcome.value]
    console.print(Rule(style=style))
    word, _, rest = clean(verdict.sentence).partition(verdict.outcome.value.capitalize())
    console.print(Text.assemble(word, (verdict.outcome.value.capitalize(), f"bold {style}"), rest))
    console.print(Text(verdict.speaks_of, style="dim"))
    for deviation in verdict.deviations:
        console.print(Text.assemble(("Exploratory: ", "yellow"), clean(deviation)))
    console.print()
    if report is not None:
        link = Style(link=report.absolute().as_uri(), underline=True) if console.color_system else Style()
        # Never broken: a path is for copying, and so are commands.
        console.print(Text.assemble(("Report  ", "bold"), (shorten_path(report), link)), soft_wrap=True)
    longest = max((len(command) for command, _ in commands), default=0)
    fits = all(8 + longest + _GAP + len(what) <= console.width for _, what in commands)
    for at, (command, what) in enumerate(commands):
        line = Text.assemble(("        " if at else "Next    ", "bold"), (command, "cyan"))
        if fits:
            line.append(" " * (longest - len(command) + _GAP) + what, style="dim")
        console.print(line, soft_wrap=True)
