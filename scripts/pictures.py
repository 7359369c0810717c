"""Record real commands over this project's own documentation, as pictures for docs/pictures.

Each command runs in a pseudo-terminal; what it draws there becomes an SVG. Usage: scripts/pictures
"""

from __future__ import annotations

import codecs
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

import pyte
from PIL import Image
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 124
LINES = 80
INGEST = "ingest docs --into qdrant-edge:./index#handbook --embedder minilm --batch-tokens 256"
EVAL = "eval docs --chunkers sentence:64,sentence:128 --recommend --html report.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
REPORT_SIZE = (1440, 2200)
MOVING = re.compile(r"━.* tokens/s .*\d:\d\d:\d\d")
"""A bar that knows the time left."""

THEME = TerminalTheme(
    (24, 26, 31),
    (214, 218, 226),
    [
        (60, 64, 72),
        (240, 113, 120),
        (126, 200, 127),
        (229, 192, 123),
        (97, 175, 239),
        (198, 120, 221),
        (86, 182, 194),
        (214, 218, 226),
    ],
)
# The font would be fetched from a content delivery network.
SVG = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
)


def main() -> None:
    """Record everything."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "docs").mkdir()
        for page in sorted((ROOT / "docs").glob("*.md")):
            shutil.copy(page, folder / "docs")
        running, ended = record(INGEST, folder)
        later = Text("... and a little later:", style="#8b919c")
        draw("ingest", [prompt(INGEST), *running[len(running) // 2], Text(), later, Text(), *ended])
        _, ended = record(EVAL, folder)
        draw("eval", [prompt(EVAL), *ended])
        picture_of(folder / "report.html")


def record(command: str, folder: Path) -> tuple[list[list[Text]], list[Text]]:
    """Run the command; its screens with a bar that moves, and what it leaves on the screen."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "jina_integrations.cli", *shlex.split(command, comments=False)],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.Stream(screen)
    decode = codecs.getincrementaldecoder("utf-8")().decode
    kept: list[list[Text]] = []
    while part := read(leader):
        stream.feed(decode(part))
        if any(MOVING.search(line) for line in screen.display):
            kept.append(lines_of(screen))
    os.close(leader)
    if running.wait():
        sys.exit("\n".join([f"{command} failed:", *(line.plain for line in lines_of(screen))]))
    return kept, lines_of(screen)


def read(terminal: int) -> bytes:
    """What the terminal receives next; nothing at the end."""
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux ends a terminal
        return b""


def environment() -> dict[str, str]:
    """Without keys, so that the local model runs; and offline."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("JINA")}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    return variables | size | {"PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}


def lines_of(screen: pyte.Screen) -> list[Text]:
    """The screen's lines with their colours, without the empty ones at the end."""
    lines = []
    for row in range(screen.lines):
        line = Text()
        cells = (screen.buffer[row][column] for column in range(screen.columns))
        for (foreground, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            line.append(
                "".join(cell.data for cell in run), Style(color=colour(foreground), bold=bold)
            )
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def colour(name: str) -> str:
    """Of pyte, in rich's words."""
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    return {"brown": "yellow"}.get(name, name.replace("bright", "bright_"))


def prompt(command: str) -> Text:
    """The command as one would type it."""
    return Text.assemble(("$ ", "green"), (f"jina-integrations {command}", "bold"))


def draw(name: str, lines: list[Text]) -> None:
    """The lines as an SVG of a terminal."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(
            record=True, file=nowhere, width=COLUMNS, force_terminal=True, color_system="truecolor"
        )
        for line in (*lines, Text()):  # the last is cut a little
            console.print(line)
    svg = console.export_svg(
        title="jina-integrations", theme=THEME, code_format=SVG, unique_id=f"terminal-{name}"
    )
    path = PICTURES / f"{name}.svg"
    path.write_text("\n".join(filter(None, map(str.rstrip, svg.splitlines()))) + "\n", "utf-8")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


def picture_of(report: Path) -> None:
    """The top of the HTML report, where a browser is there."""
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    target = PICTURES / "eval-report.png"
    if browser is None:
        print(f"{target.relative_to(ROOT)}: left as it is; set CHROMIUM to a headless browser")
        return
    shot = report.with_suffix(".png")
    size = ",".join(map(str, REPORT_SIZE))
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    subprocess.run(
        [browser, *options, f"--window-size={size}", f"--screenshot={shot}", report.as_uri()],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    with Image.open(shot) as image:
        image.convert("RGB").quantize(64).save(target, optimize=True)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
