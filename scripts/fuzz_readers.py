"""Feed the readers files that a coverage-guided fuzzer makes, for as long as you like.

    python scripts/fuzz_readers.py squad -max_total_time=600

It needs atheris (``pip install atheris``), which is no dependency of the project; options after
the target's name are libFuzzer's. What it finds belongs into ``tests/badinput/``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> int:
    """Fuzz one reader."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["mtl.data"]):
        from tests.data.fuzzing import TARGETS, read
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        print(f"usage: fuzz_readers.py {{{','.join(TARGETS)}}} [libFuzzer's options]")
        return 2
    target = TARGETS[sys.argv.pop(1)]
    folder = Path(tempfile.mkdtemp(prefix="mtl-fuzz-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "seed").write_bytes(target.seed)

    def one(content: bytes) -> None:
        read(target, content, folder, "skip" if len(content) % 2 else "error")

    atheris.Setup([*sys.argv, str(corpus)], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
