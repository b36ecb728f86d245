"""Gradual unfreezing: layers begin to learn one after the other, from the last one down.

Howard and Ruder 2018 (ULMFiT), section 3.3. The heads learn from the first step on, and the last
layer with them.
"""

from __future__ import annotations

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError, Problem
from mtl.trunk.schedule import TuningSchedule
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.base import TUNINGS
from mtl.trunk.tuning.depth import depths


@TUNINGS.register("gradual")
def gradual(trunk: Trunk, options: TuningConfig) -> Unfreezing:
    """Let every parameter learn, the lower ones later.

    Raises:
        ConfigError: If the trunk's layers cannot be told apart.
    """
    trunk.requires_grad_(True)
    return Unfreezing(trunk, options.unfreeze_every)


class Unfreezing(TuningSchedule):
    """Leaves layers as they are until it is their turn: no momentum, no decay.

    Which ones learn follows from the number of the step alone, so that ranks agree, and a resumed
    run goes on as it would have.

    Args:
        trunk: Whose layers they are.
        every: Steps between two layers; when None, the run's length says.
    """

    def __init__(self, trunk: Trunk, every: int | None) -> None:
        self.trunk = trunk
        self.every = every or 1
        self.given = every is not None
        self.layers = max(self._depths().values())
        """How many layers lie above the embeddings."""
        self._found: dict[int, int] = {}
        self._below = 0

    def _depths(self) -> dict[int, int]:
        return depths(self.trunk, "tuning.name", "to be full or frozen for this trunk")

    def start(self, steps: int) -> None:
        """Spread the layers over the first half of the run, where nothing else is asked.

        Raises:
            ConfigError: If some would never learn.
        """
        if not self.given:
            self.every = max(1, steps // (2 * self.layers))
        if self.every * self.layers >= steps:
            raise ConfigError(
                Problem(
                    "tuning.unfreeze_every",
                    f"to let the trunk's {self.layers} layers and its embeddings learn before the "
                    f"run's {steps} steps end",
                    f"got {self.every}" if self.given else "it is unset",
                    "Train longer, lower it, or choose tuning=full or tuning=last.",
                )
            )

    def before_update(self, step: int) -> None:
        """Drop the gradients of what does not learn yet."""
        self._below = min(step // self.every, self.layers)
        self._found = self._found or self._depths()  # Now, since FSDP2 makes other parameters.
        for parameter in self.trunk.parameters():
            if self._found[id(parameter)] > self._below:
                parameter.grad = None

    def logs(self) -> dict[str, float]:
        """Return how many layers learn; with the embeddings one more than there are."""
        return {"layers": float(self._below + 1)}
