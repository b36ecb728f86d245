"""What passes between text, trunk and heads.

A *unit* is a document (one window of it) followed by zero or more branches::

    [ document ][ branch 1: question + answer ][ branch 2: prompt + target ] ...

Units are placed in the rows of one :class:`TrunkBatch`; each head reads the hidden states at its
own places, given by a :class:`HeadBatch`. Shapes: B rows, T tokens a row, N read positions,
G outputs, D hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[Any]
Row = dict[str, Any]
T = TypeVar("T")


@dataclass(slots=True)
class Branch:
    """Tokens that continue one window of a document and see no other branch."""

    document: int
    """Index of the window in :attr:`Encoded.documents`."""
    ids: IntArray


@dataclass(slots=True)
class Encoded:
    """One example of one task as token ids, places to read, and targets.

    `part` and `offset` have shape (N,): part `p` is window `p`, or branch `p - len(documents)`;
    the offset counts tokens inside that part. With `group`, shape (N,), positions of one group
    are averaged into one output; without it every position is an output of its own. Every array
    of `targets` and `inputs` is concatenated along its first axis when examples are batched.
    """

    documents: list[IntArray]
    part: IntArray
    offset: IntArray
    targets: dict[str, Array]
    mass: float
    """What this example adds to the denominator of its task's loss."""
    branches: list[Branch] = field(default_factory=list)
    group: IntArray | None = None
    inputs: dict[str, Array] = field(default_factory=dict)
    """What the head reads beside the states."""
    extra: dict[str, Array] = field(default_factory=dict)
    """What decoding and scores need of the example; it stays with it, and on the host."""

    @property
    def outputs(self) -> int:
        """How many rows of logits the example has."""
        if self.group is None:
            return len(self.part)
        return int(self.group.max()) + 1 if len(self.group) else 0

    @property
    def windows(self) -> int:
        """How many windows the text has; where outputs read documents of their own, of one."""
        count = len(self.documents)
        if count == 1 or self.branches or self.group is None or not len(self.group):
            return count
        read = np.unique(np.stack([self.group, self.part]), axis=1)
        return int(np.bincount(read[0]).max())

    @property
    def length(self) -> int:
        """Tokens of all windows and branches."""
        return sum(map(len, self.documents)) + sum(len(b.ids) for b in self.branches)


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of one task as decoding and scores see them."""

    encoded: Sequence[Encoded]
    rows: Sequence[Row]
    """The row of each example; read when it is asked for."""

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def sizes(self) -> list[int]:
        """Outputs of each example."""
        return [example.outputs for example in self.encoded]


class _Movable:
    """Dataclasses whose tensors move to a device together."""

    def to(self: T, device: torch.device | str) -> T:
        """Return a copy with every tensor on `device`; a host's copy to a GPU is not waited for."""
        ahead = torch.device(device).type == "cuda"

        def moved(value: object) -> object:
            if isinstance(value, Tensor):
                return value.to(device, non_blocking=ahead)
            if isinstance(value, _Movable):
                return value.to(device)
            if isinstance(value, dict):
                return {k: moved(v) for k, v in value.items()}
            if isinstance(value, list) and value and isinstance(value[0], Tensor | _Movable):
                return [moved(v) for v in value]
            return value

        changes = {f.name: moved(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return replace(self, **changes)  # type: ignore[type-var]


@dataclass(slots=True)
class TrunkBatch(_Movable):
    """Units in rows, for one pass of the trunk. All tensors have shape (B, T)."""

    input_ids: Tensor
    position_ids: Tensor
    """Restart at every unit; a branch continues from its document's end."""
    unit: Tensor
    """Which unit of the row a token belongs to; -1 is padding."""
    segment: Tensor
    """0 in the document, k in the unit's k-th branch."""
    bidirectional: Tensor
    """Whether the token's document sees all of itself (else only what came before)."""
    plain: bool
    """Every row is one causal unit with at most one branch, from the left: no mask is needed."""

    def each(self, change: Callable[[Tensor], Tensor]) -> TrunkBatch:
        """Return a batch of which every tensor is changed alike; it may need a mask."""
        return TrunkBatch(
            input_ids=change(self.input_ids),
            position_ids=change(self.position_ids),
            unit=change(self.unit),
            segment=change(self.segment),
            bidirectional=change(self.bidirectional),
            plain=False,
        )

    def between(self, first: int, end: int) -> TrunkBatch:
        """Return the rows [first, end)."""
        return replace(self.each(lambda values: values[first:end]), plain=self.plain)

    @property
    def tokens(self) -> int:
        """Real tokens: padding not counted."""
        return int((self.unit >= 0).sum())

    @property
    def tokens_with_padding(self) -> int:
        """All tokens that the pass computes."""
        return self.input_ids.numel()


@dataclass(slots=True)
class CachedStates(_Movable):
    """Hidden states that the trunk computed before, in place of a pass of it."""

    states: Tensor
    """(n, D); heads' positions count these."""
    tokens: int
    """Of the texts that they were computed from."""

    @property
    def tokens_with_padding(self) -> int:
        """As many: no pass computes padding."""
        return self.tokens


@dataclass(slots=True)
class HeadBatch(_Movable):
    """What one task reads from a trunk pass."""

    positions: Tensor
    """(N,) indices into the pass's flattened (B * T) tokens."""
    targets: dict[str, Tensor]
    examples: list[int]
    """Index of each example in its task's split."""
    sizes: list[int]
    """Outputs of each example; their sum is G."""
    group: Tensor | None = None
    """(N,) the output each position is averaged into."""
    share: Tensor | None = None
    """(N,) one over the number of positions in its group."""
    inputs: dict[str, Tensor] = field(default_factory=dict)
    encoded: list[Encoded] = field(default_factory=list)
    """The examples themselves, on the host."""

    @property
    def given(self) -> dict[str, Tensor]:
        """All that a head may look at beside the states: inputs and targets, by name."""
        return {**self.inputs, **self.targets}

    def read(self, hidden: Tensor) -> Tensor:
        """Gather this task's states from `hidden`, shape (B * T, D); returns (G, D)."""
        states = hidden.index_select(0, self.positions)
        if self.group is None or self.share is None:
            return states
        pooled = states.new_zeros(sum(self.sizes), states.shape[1])
        return pooled.index_add(0, self.group, states * self.share.to(states.dtype)[:, None])


class Kept(NamedTuple):
    """A document of a pass that texts will be written after."""

    start: int
    """Its first token's index into the pass's flattened (B * T) tokens."""
    length: int
    readers: list[tuple[str, int]]
    """Whose texts those are: a task, and an example's index in its split."""


@dataclass(slots=True)
class MicroBatch(_Movable):
    """One trunk pass and the heads that read it, by task name."""

    source: TrunkBatch | CachedStates
    heads: dict[str, HeadBatch]
    keep: list[Kept] = field(default_factory=list)
    """Documents whose keys and values are needed again."""
    rows: int | None = None
    """How many rows are run at once; all of them when None."""

    @property
    def tokens_at_once(self) -> int:
        """The most tokens, padding included, whose states exist at one time."""
        if self.rows is None:
            return self.source.tokens_with_padding
        return self.rows * self.trunk.input_ids.shape[1]

    @property
    def trunk(self) -> TrunkBatch:
        """The tokens that the trunk reads, where its states are not cached."""
        assert isinstance(self.source, TrunkBatch), "its states are cached"
        return self.source


@dataclass(slots=True)
class WriteBatch(_Movable):
    """Examples for which one task writes texts, in one batch."""

    task: str
    examples: list[int]
    """Index of each in its task's split."""
    read: bool = False
    """Whether passes before this batch kept their documents."""


@dataclass(slots=True)
class Step(_Movable):
    """One optimiser step of one rank: its micro-batches, and what all ranks share."""

    number: int
    """Counted from the start of training, across epochs."""
    micro_batches: list[MicroBatch]
    denominators: dict[str, float]
    """Loss denominator of every task with rows on any rank of this step."""
    examples: int = 0
    by_task: bool = False
    """Whether each pass is of one task, so that each has a gradient of its own."""

    @property
    def tokens(self) -> int:
        """Real tokens of this rank's micro-batches."""
        return sum(m.source.tokens for m in self.micro_batches)


def concatenate(arrays: Iterable[Array]) -> Tensor:
    """Join arrays along their first axis into one tensor; integers become int64."""
    joined = np.concatenate(list(arrays))
    if joined.dtype.kind in "iu":
        joined = joined.astype(np.int64)
    return torch.from_numpy(joined)
