"""Take the picture of a report that the README shows.

    python benchmarks/screenshot.py .modelwright/reports/digits.html docs/img/report.png

Needs playwright and a chromium on the path.
"""

import argparse
import shutil
from pathlib import Path

_FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --force-color-profile=srgb"
)


def take_picture(report: Path, picture: Path, *, width: int, height: int, dark: bool) -> int:
    """Write a PNG of the top of a report and return its size in bytes.

    Args:
        report: The HTML file.
        picture: Where the PNG goes.
        width: Pixels of the window.
        height: Pixels of the picture, from the top.
        dark: Whether the reader prefers dark colours.
    """
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise SystemExit("No chromium was found; install it, e.g. apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS.split())
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page.goto(report.resolve().as_uri())
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture)
        browser.close()
    _shrink(picture)
    return picture.stat().st_size


def _shrink(picture: Path) -> None:
    """Keep 128 colours: a report has few, and a third of the bytes is left. Without Pillow, do nothing."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return
    with Image.open(picture) as full:
        small = full.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1700)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    size = take_picture(given.report, given.picture, width=given.width, height=given.height, dark=given.dark)
    print(f"{given.picture}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
