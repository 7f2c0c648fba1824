"""A page for each kind of finding: what it means, how it looks, how to be sure, how to mend it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["FOLDER", "HEADINGS", "FindingPage", "finding_kinds", "find_page", "manual_of"]

FOLDER = Path(__file__).resolve().parents[1] / "findings"
"""One Markdown file for each kind, named for it, and README.md, which lists them by family."""

HEADINGS = (
    "What it means",
    "How it looks",
    "How to be sure",
    "How to mend",
    "When it is nothing",
    "Source",
)
"""Of every page, in this order."""

_OTHER_PAGE = re.compile(r"\[[^\]]+\]\(([a-z0-9-]+)\.md\)")
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(https?://[^)]*\)")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingPage:
    """What is known about a kind of finding.

    Attributes:
        kind: Its name.
        summary: Severity and one sentence, as Markdown.
        sections: Heading -> Markdown, see `HEADINGS`.
        text: The whole page as Markdown.
    """

    kind: str
    summary: str
    sections: Mapping[str, str]
    text: str

    def record(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"kind": self.kind, "summary": self.summary, "sections": dict(self.sections)}


@cache
def finding_kinds() -> tuple[str, ...]:
    """Return all kinds that have a page, by name."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md") if path.name != "README.md"))


def find_page(kind: str) -> FindingPage | None:
    """Return the page of a kind, None where it has none."""
    if kind not in finding_kinds():
        return None
    text = (FOLDER / f"{kind}.md").read_text("utf-8")
    head, *parts = _HEADING.split(text)
    return FindingPage(
        kind=kind,
        summary=head.partition("\n")[2].strip(),
        sections={title: part.strip() for title, part in zip(parts[::2], parts[1::2], strict=True)},
        text=text,
    )


@cache
def manual_of(kind: str, *, leads_outside: bool = True) -> "tuple[tuple[str, Markup], ...]":
    """Return (heading, HTML) of the page of a kind, for a page that stands alone; empty where it has none.

    Args:
        kind: Of the finding.
        leads_outside: Whether sources, and links to what lies on other machines, are among it.
    """
    page = find_page(kind)
    if page is None:
        return ()
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    made = MarkdownIt("commonmark", {"html": False})
    texts = {title: _OTHER_PAGE.sub(r"`modelwright help \1`", page.sections[title]) for title in HEADINGS}
    if not leads_outside:
        texts = {title: _OUTSIDE.sub(r"\1", text) for title, text in texts.items() if title != HEADINGS[-1]}
    # The pages are our own, and the parser passes no tags through.
    return tuple((title, Markup(made.render(text))) for title, text in texts.items())
