"""Running out of memory: what to lower, and a token budget that fits."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from mtl.config.schema import Config
from mtl.errors import TrainingError

_MESSAGES = re.compile(
    r"out of memory|not enough memory|can't allocate memory|cannot allocate memory"
    r"|failed to allocate|alloc_failed",
    re.IGNORECASE,
)

SECOND = ("memory.max", "memory.current")
FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes")
"""A control group's files: its limit, and what is used; by the version of control groups."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device or the machine has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_MESSAGES.search(str(error)))


@contextlib.contextmanager
def memory_advice(
    lower: Callable[[], str], then: str = " The checkpoints are as they were."
) -> Iterator[None]:
    """Turn running out of memory into a sentence that says which settings to lower.

    Args:
        lower: Returns those settings with their present values; see :func:`what_to_lower`.
        then: What else there is to say.

    Raises:
        TrainingError: If memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"Expected enough memory, but it ran out ({_asked(error)}); lower {lower()}.{then}"
        ) from error


def _asked(error: BaseException) -> str:
    text = " ".join(str(error).split())
    found = re.search(r"[Tt]ried to allocate [\d.,]+ ?\w+", text)
    return found.group().lower() if found else "no more could be allocated"


def what_to_lower(cfg: Config, max_length: int) -> str:
    """Return the settings that memory depends on, with their present values, best first."""
    more = []
    if not cfg.trainer.auto_scale_tokens:
        more.append("trainer.auto_scale_tokens=true to find what fits")
    if not cfg.trunk.gradient_checkpointing:
        more.append("trunk.gradient_checkpointing=true")
    if cfg.trainer.precision == "32-true":
        more.append("trainer.precision=bf16-mixed")
    if cfg.tuning.name in ("full", "gradual"):
        more.append("tuning=lora")
    lower = f"`batching.tokens` ({cfg.batching.tokens}) or `trunk.max_length` ({max_length})"
    if not more:
        return lower
    *first, last = more
    return f"{lower}, or try {', '.join(first)}{' or ' if first else ''}{last}"


def free_memory(device: torch.device) -> int | None:
    """Return how many bytes are free on a device; None where nobody says.

    On a CPU that is the least of what the machine, the container and the process's own limit
    leave.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    found = [_machine(), _container(Path("/sys/fs/cgroup")), _own_limit()]
    return min((n for n in found if n is not None), default=None)


def _machine() -> int | None:
    with contextlib.suppress(OSError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        if match := re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE):
            return int(match.group(1)) * 1024
    return None


def _container(root: Path, groups: Path = Path("/proc/self/cgroup")) -> int | None:
    left = []
    with contextlib.suppress(OSError, ValueError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, kinds, own = line.split(":", 2)
            if kinds == "" or "memory" in kinds.split(","):
                base, files = (root / "memory", FIRST) if kinds else (root, SECOND)
                left += [_left_in(folder, files) for folder in (base / own.lstrip("/"), base)]
    return min((n for n in left if n is not None), default=None)


def _left_in(folder: Path, files: tuple[str, str] = SECOND) -> int | None:
    """Return what a control group leaves; files in its cache do not count as used."""
    with contextlib.suppress(OSError, ValueError):
        limit = (folder / files[0]).read_text(encoding="ascii").strip()
        if limit != "max":
            used = int((folder / files[1]).read_text(encoding="ascii"))
            stat = (folder / "memory.stat").read_text(encoding="ascii")
            cached = re.search(r"^(?:total_)?inactive_file (\d+)", stat, re.MULTILINE)
            return max(0, int(limit) - used + (int(cached.group(1)) if cached else 0))
    return None


def _own_limit() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
    return None
