"""Measure mtl beside what people would otherwise use.

python scripts/benchmarks/run.py [CASE ...] [--rounds 5] [--short] [--threads 2] [--out FOLDER]
python scripts/benchmarks/run.py --report     # figures of FOLDER into docs/benchmarks.md

Without a CASE, all of them run. Cases on real corpora read the folder that MTL_DATA names and are
skipped where it is unset. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.benchmarks import report, runner  # noqa: E402


def main() -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help=", ".join(runner.names()))
    add("--rounds", type=int, default=None, help="default 5, or 2 with --short")
    add("--short", action="store_true", help="fewer rounds, smaller rounds")
    add("--threads", type=int, default=os.cpu_count(), help="threads of one operator")
    add("--out", type=Path, default=ROOT / "bench-results", help="folder for JSON files")
    add("--report", action="store_true", help="write the figures into docs/benchmarks.md")
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in runner.names()]
    if unknown:
        parser.error(f"Expected one of {', '.join(runner.names())}, but got {unknown[0]}.")
    if options.report:
        docs = ROOT / "docs"
        report.report(
            runner.read(options.out), docs / "benchmarks.md", docs / "images" / "benchmarks.svg"
        )
        return 0
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    data = os.environ.get("MTL_DATA")
    settings = runner.Settings(
        rounds=options.rounds or (2 if options.short else 5),
        short=options.short,
        threads=options.threads,
        data=Path(data) if data else None,
    )
    return runner.run(options.cases or runner.names(), settings, options.out)


if __name__ == "__main__":
    sys.exit(main())
