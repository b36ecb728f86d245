"""A head that chooses the next token: the trunk's output layer, or one of its own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mtl.errors import ConfigError
from mtl.heads.base import Head, Output, as_float


class LanguageHead(Head):
    """Scores over the trunk's vocabulary for the positions that are targets, and no others.

    Args:
        hidden_size: D.
        tied: Whether it is the trunk's own output layer, which then learns with the trunk; else
            it has weights of its own, without a bias.
        dropout: On the states, in training.
        label_smoothing: Share of the target that is spread evenly over the vocabulary.
        task: For messages.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        tied: bool = True,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        task: str = "",
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.tied = tied
        self.dropout = nn.Dropout(dropout)
        self.label_smoothing = label_smoothing
        self.task = task
        self.linear: nn.Linear | None = None
        self._output: list[Output] = []  # In a list, so that it is no part of this module.

    def attach(self, output: Output | None) -> None:
        """Take the trunk's output layer; make weights of the head's own where it is not tied.

        Raises:
            ConfigError: If the trunk has none, it does more than is known to a tied head, or a tied
                head has nothing that learns.
        """
        if output is None or not output.exact:
            raise ConfigError(
                f"Expected the trunk to project its states on its vocabulary as language models "
                f"do, which task '{self.task}' needs, but this one does not; choose another trunk."
            )
        if self.tied and not any(p.requires_grad for p in output.model.parameters()):
            raise ConfigError(
                f"Expected `tasks.{self.task}.head.tied` to be false where no part of the trunk "
                "learns, but got true: the task would learn nothing."
            )
        self._output = [output]
        if not self.tied:
            self.linear = nn.Linear(self.hidden_size, output.vocabulary, bias=False)
            nn.init.normal_(self.linear.weight, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        """Return (N, V) logits for (N, D) states."""
        return self._output[0](self.dropout(states), self.linear)

    def loss_sum(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Return the summed cross-entropy; `targets["labels"]` is (N,) token ids."""
        return F.cross_entropy(
            as_float(logits),
            targets["labels"],
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def mass(self, targets: dict[str, Tensor]) -> float:
        """Return the number of target tokens."""
        return float(targets["labels"].numel())
