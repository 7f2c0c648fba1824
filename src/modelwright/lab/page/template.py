"""Templates of pages: all text from outside is escaped, and a missing name is an error."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from modelwright.lab.page.number import general, show_time

__all__ = ["make_environment", "template_source"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_HASH = re.compile(r"\b([0-9a-f]{40,64})\b")


def make_environment() -> Environment:
    """Return the environment that pages are rendered in."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(general=general, moment=show_time, hashes=_mark_hashes)
    return environment


def template_source(name: str) -> str:
    """Return the text of a template, for style and script, whose digest a page states."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _mark_hashes(text: str) -> Markup:
    """Return escaped text with long hexadecimal names set in a face in which they can be compared."""
    parts = _HASH.split(text)
    return Markup("").join(
        Markup('<span class="mono">{}</span>').format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )
