"""Print constraints.txt: the installed version of everything that the project needs, and no more.

.venv/bin/python scripts/pin_constraints.py > constraints.txt

Walks the requirements of `mtl[dev,bench]` as installed, so run it in an environment in which the
tests pass. Builds of one version (`2.13.0+cpu`) are pinned by the plain version: which build comes
is up to the index.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOTS = ["mtl[dev,bench]"]
HEADER = "# Regenerate with: .venv/bin/python scripts/pin_constraints.py > constraints.txt"


def closure(roots: list[str]) -> dict[str, str]:
    """Return name and version of every installed package that `roots` need, themselves included.

    Raises:
        PackageNotFoundError: If a requirement that applies here is not installed.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [Requirement(root) for root in roots]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        for extra in ["", *sorted(wanted.extras)]:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found = distribution(name)
            versions[name] = Version(found.version).public
            todo += applying(found.requires or [], extra)
    return versions


def applying(requirements: list[str], extra: str) -> list[Requirement]:
    """Return those of a package's requirements that hold here for one extra, "" for none."""
    parsed = [Requirement(text) for text in requirements]
    here = [r for r in parsed if r.marker is None or r.marker.evaluate({"extra": extra})]
    return here if not extra else [r for r in here if r.marker and "extra" in str(r.marker)]


def main() -> int:
    """Print the pinned versions; returns the exit code."""
    try:
        versions = closure(ROOTS)
    except PackageNotFoundError as missing:
        print(f"Expected {missing.name} to be installed; run `make setup` first.", file=sys.stderr)
        return 1
    versions.pop("mtl")
    print(HEADER)
    print("\n".join(f"{name}=={version}" for name, version in sorted(versions.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
