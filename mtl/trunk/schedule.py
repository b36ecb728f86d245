"""What a tuning method does while training goes on."""

from __future__ import annotations

from torch import Tensor

from mtl.config.section import Values


class TuningSchedule:
    """Does nothing: what learns is the same from the first step to the last.

    A method whose trunk changes with the steps returns its own. All ranks call it alike, with equal
    gradients, and what it keeps between steps stands in checkpoints.
    """

    def start(self, steps: int) -> None:
        """Meet the number of steps of the whole run, before the first one.

        Raises:
            ConfigError: If that is too few.
        """

    def before_update(self, step: int) -> None:
        """Change gradients once those of a step are added up and unscaled, before they are clipped.

        Args:
            step: Counted from 0.
        """

    def after_update(self, done: int, norm: Tensor) -> None:
        """Change weights after the optimizer did.

        Args:
            done: Steps that are taken, this one included.
            norm: Of the gradient; the optimizer left the step out if it is not finite.
        """

    def logs(self) -> dict[str, float]:
        """Return what training logs of it, by name."""
        return {}

    def facts(self) -> Values:
        """Return what is known of it at the end, as JSON values."""
        return {}

    def state(self) -> Values:
        """Return what it keeps between steps, as tensors and plain data."""
        return {}

    def load_state(self, state: Values) -> None:
        """Take back what :meth:`state` returned."""
