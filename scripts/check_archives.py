"""Look into the built wheel and sdist: what must be there is there, and nothing else is on top.

Usage: python scripts/check_archives.py FOLDER
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

WHEEL_TOP = {"jina_integrations", "jina_adapters"}
WHEEL_HAS = {"jina_integrations/py.typed", "jina_adapters/py.typed"}
SDIST_TOP = {
    "CHANGELOG.md",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "adapters",
    "benchmarks",
    "constraints.txt",
    "docs",
    "examples",
    "jina_integrations",
    "mkdocs.yml",
    "pyproject.toml",
    "scripts",
    "tests",
    ".gitignore",
}


def check(what: str, wanted: set[str], present: set[str]) -> None:
    """Leave with a message where the two sets differ."""
    if wanted != present:
        sys.exit(
            f"{what}: missing {sorted(wanted - present)}, unexpected {sorted(present - wanted)}"
        )


def main(folder: Path) -> None:
    """Check the one wheel and the one sdist of the folder."""
    (wheel,) = folder.glob("*.whl")
    names = {PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()}
    check(wheel.name, WHEEL_TOP, {n.parts[0] for n in names if ".dist-info" not in n.parts[0]})
    check(f"py.typed in {wheel.name}", WHEEL_HAS, {str(n) for n in names if n.name == "py.typed"})
    if not any(n.name == "LICENSE" for n in names):
        sys.exit(f"{wheel.name} has no LICENSE")

    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        check(sdist.name, SDIST_TOP, {PurePosixPath(n).parts[1] for n in archive.getnames()})
    print(f"{wheel.name} and {sdist.name} hold what they should")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
