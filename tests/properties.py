"""How many examples a property test draws, and from which seed.

``make test`` draws the same ones every time. ``make fuzz`` sets ``MTL_FUZZ``, by which every count
is multiplied, and draws from a seed that it prints.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("MTL_FUZZ") or 0)
# How long an example takes depends on what else the machine does.
settings.register_profile(
    "mtl",
    derandomize=not FACTOR,
    deadline=None,
    database=None,
    print_blob=True,
    max_examples=100 * (FACTOR or 1),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mtl")


def max_examples(count: int) -> settings:
    """Return settings for a test that draws `count` examples, and more under ``make fuzz``."""
    return settings(max_examples=count * (FACTOR or 1))
