"""An experiment as it happens, on a terminal: every look, the intervals, and the progress of training."""

import atexit
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from modelwright.base.clock import Clock, SystemClock
from modelwright.base.finding import Finding
from modelwright.experiment.look import Look
from modelwright.experiment.verdict import Verdict
from modelwright.lab.prepare import Prepared
from modelwright.lab.watch.live_page import LivePage, Note, verdict_page
from modelwright.lab.watch.plain import PlainView
from modelwright.lab.wording import (
    SEVERITY_STYLES,
    describe_finding,
    describe_lost,
    describe_reused,
    invalidates,
    next_commands,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["LiveView", "make_view"]

_CLOCK = SystemClock()
_FRAMES_A_SECOND = 6


def make_view(console: "Console", *, clock: Clock = _CLOCK) -> "LiveView | PlainView":
    """Return the view that suits a console: live on a terminal, plain lines on a pipe, in CI or a notebook.

    Use it with `with`, so that the terminal is put right whatever happens.
    """
    file = console.file
    on_terminal = (
        console.is_interactive and not console.is_jupyter and getattr(file, "isatty", lambda: False)()
    )
    if on_terminal and not os.environ.get("CI"):
        return LiveView(console, clock=clock)
    return PlainView(file)


class LiveView:
    """Keeps one page up to date; what it shows last stays on the screen.

    Args:
        console: A terminal.
        clock: Tells how long it has taken.
    """

    def __init__(self, console: "Console", *, clock: Clock = _CLOCK) -> None:
        self._console = console
        self._clock = clock
        self._page = LivePage()
        self._findings: dict[str, bool] = {}
        self._live: Live | None = None
        # The page is drawn by rich's thread and changed by ours.
        self._lock = threading.Lock()

    def __enter__(self) -> "LiveView":
        self._page.doing = "reading the design, its data and its learners"
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the last page on the screen and give the terminal back; a second time does nothing."""
        live, self._live = self._live, None
        if live is None:
            return
        atexit.unregister(self.close)
        with self._lock:
            self._page.doing = ""
            self._page.whole = True
        live.stop()

    def _start(self) -> None:
        if self._live is not None:
            return
        from rich.live import Live

        self._page.begun = self._clock.monotonic()
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=_FRAMES_A_SECOND,
            vertical_overflow="crop",
        )
        self._live.start()
        # The cursor comes back even where nobody closes us.
        atexit.register(self.close)

    def _draw(self) -> "RenderableType":
        with self._lock:
            return self._page.draw(self._console, seconds=self._clock.monotonic() - self._page.begun)

    def opened(self, prepared: Prepared, *, resumed: bool) -> None:
        """Show what is asked."""
        self._start()
        with self._lock:
            self._page.prepared = prepared
            self._page.doing = "checking the data"
            if resumed:
                self._page.notes.append(Note("resumed", "going on where an earlier call stopped", "dim"))

    def found(self, finding: Finding, *, accepted: bool) -> None:
        """Show a finding."""
        fatal = invalidates(finding, accepted=accepted)
        self._findings[finding.kind] = fatal
        text = describe_finding(finding, accepted=accepted)
        with self._lock:
            self._page.notes.append(
                Note(finding.severity.value, text, SEVERITY_STYLES[finding.severity], keep=fatal)
            )

    def reused(self, variant: str, count: int) -> None:
        """Show that trials are on record."""
        with self._lock:
            self._page.notes.append(Note("reused", describe_reused(variant, count), "cyan"))

    def trained(self, progress: Mapping[str, tuple[int, int]], *, updates: Mapping[str, int]) -> None:
        """Show how far training is."""
        with self._lock:
            self._page.progress = dict(progress)
            self._page.updates = dict(updates)
            self._page.doing = f"training for look {len(self._page.looks) + 1}"

    def lost(self, variant: str, why: str) -> None:
        """Show that a worker went away."""
        with self._lock:
            self._page.notes.append(Note("lost", describe_lost(variant, why), "magenta"))

    def looked(self, look: Look) -> None:
        """Show a look."""
        with self._lock:
            self._page.looks.append(look)
            self._page.progress = {}
            self._page.doing = "writing the report" if look.stop else f"preparing look {look.index + 2}"

    def judged(self, verdict: Verdict, report: Path | None) -> None:
        """Show the verdict, the report and what to try next; nothing changes after that."""
        prepared = self._page.prepared
        self.close()
        commands = (
            next_commands(prepared.design, prepared.project, self._findings) if prepared is not None else []
        )
        verdict_page(self._console, verdict, report, commands)
