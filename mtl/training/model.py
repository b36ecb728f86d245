"""One trunk, a registry of heads, and the tasks that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from mtl.config.schema import TaskConfig
from mtl.config.section import check
from mtl.data.plan import generator
from mtl.data.store import ExampleStore
from mtl.errors import ConfigError
from mtl.heads.base import Head
from mtl.tasks import TASK_TYPES, Task
from mtl.tasks._weights import pool_counts
from mtl.tasks.base import take
from mtl.training.layers import attach_layers
from mtl.training.parts import scores_in_parts
from mtl.trunk import Trunk
from mtl.trunk.recall import Recall, empty_cache
from mtl.trunk.streaming import Pieces
from mtl.types import Examples, MicroBatch, TrunkBatch, WriteBatch

if TYPE_CHECKING:
    from mtl.training.description import TaskDescription
    from mtl.training.teacher import Teacher

_EMPTY = nn.ModuleDict()
"""Heads and scores lie in such a dictionary, whose own attributes cannot be their names."""


class TrainingPass(NamedTuple):
    """What losses take from a pass."""

    logits: dict[str, Tensor]
    """(G, C) of each task."""
    zero: Tensor | None = None
    """A zero that every parameter has a part in, where ranks gather parameters."""
    held: Tensor | None = None
    """How far it is from what a teacher says, where there is one and the pass is run whole."""


class MultiTaskModel(nn.Module):
    """A trunk and its heads; one pass answers every task in a batch.

    Args:
        trunk: The shared transformer.
        tasks: With their labels learned or loaded.
        heads: By head name; see :func:`build_heads`.
    """

    def __init__(self, trunk: Trunk, tasks: Sequence[Task], heads: nn.ModuleDict) -> None:
        super().__init__()
        self.trunk = trunk
        self.tasks = {t.name: t for t in tasks}
        self.heads = heads
        attach_layers(trunk, tasks, heads)
        self.touch = False
        """Whether a training pass reads all parameters of this rank."""
        self.teacher: Teacher | None = None
        """Holds training passes to what another run's heads say of them."""

    def head(self, task: str) -> Head:
        """Return the head that `task` uses."""
        found = self.heads[self.tasks[task].head_name]
        assert isinstance(found, Head)
        return found

    def frozen(self) -> dict[str, nn.Parameter]:
        """Return the parameters that do not learn, by every name that `state_dict` has for them."""
        named = self.named_parameters(remove_duplicate=False)
        return {name: p for name, p in named if not p.requires_grad}

    def forward(self, batch: MicroBatch, recall: Recall | None = None) -> dict[str, Tensor]:
        """Return logits (G, C) of every task in the batch, after one pass of the trunk.

        Args:
            batch: One pass.
            recall: Keeps the documents that the batch says are needed again.
        """
        found = self._answer(batch, recall)
        return {n: self.head(n).settled(found[n], batch.heads[n].given) for n in found}

    def _answer(self, batch: MicroBatch, recall: Recall | None) -> dict[str, Tensor]:
        self._read_for(batch)
        if batch.rows is not None:
            assert not batch.keep, "texts are written after documents of one window"
            return self._score_in_parts(batch)
        if recall is None or not batch.keep:
            return self._score(batch, self.trunk(batch.source))
        cache = empty_cache(self.trunk.config)
        hidden: Tensor = self.trunk(batch.trunk, cache)
        recall.keep(cache, batch.trunk.unit, batch.keep)
        return self._score(batch, hidden)

    def training_pass(self, batch: MicroBatch) -> TrainingPass:
        """Run the trunk and every head of a batch, for losses.

        Where ranks gather parameters for the length of a pass it is run whole: they would have to
        be at the same part of it.
        """
        self._read_for(batch)
        if batch.rows is not None and not self.touch:
            return TrainingPass(self._score_in_parts(batch))
        hidden: Tensor = self.trunk(batch.source)
        zero = self._touched(hidden) if self.touch else None
        teacher = self.teacher
        held = None if teacher is None else teacher.loss(batch.trunk, hidden, self.heads)
        return TrainingPass(self._score(batch, hidden), zero, held)

    def _score_in_parts(self, batch: MicroBatch) -> dict[str, Tensor]:
        def run(part: TrunkBatch) -> Tensor:
            self._read_for(batch)  # Again, because a part is computed anew for its gradient.
            states: Tensor = self.trunk(part)
            return states

        heads = {name: self.head(name) for name in batch.heads}
        return scores_in_parts(run, batch, heads, self.trunk.width)

    def _read_for(self, batch: MicroBatch) -> None:
        """Let the trunk read a pass as its task does, where tasks have an adapter each."""
        if self.trunk.readers and batch.heads:
            (task,) = batch.heads
            self.trunk.read_for(task)

    def _score(self, batch: MicroBatch, hidden: Tensor) -> dict[str, Tensor]:
        return {
            name: self.head(name).read(part.read(hidden), part.given)
            for name, part in batch.heads.items()
        }

    def _touched(self, hidden: Tensor) -> Tensor:
        """Return an exact zero that the states and every parameter gathered here take part in."""
        here = (p for p in self.parameters() if not isinstance(p, DTensor))
        return touched(here, 0.0 * hidden.sum())


def touched(parameters: Iterable[nn.Parameter], zero: Tensor) -> Tensor:
    """Return a zero that every parameter that learns has a part in."""
    for parameter in parameters:
        if parameter.requires_grad:
            zero = zero + 0.0 * parameter.sum()
    return zero


def seed_torch(seed: int, *purpose: str | int) -> None:
    """Seed PyTorch's generators with a number that depends on nothing but the arguments."""
    torch.manual_seed(int(generator(seed, *purpose).integers(2**63 - 1)))


Decode = Callable[[str, Tensor, Examples], list[Any]]
"""Makes one output an example of a task's name, its logits (G, C) and the examples."""


Written = Callable[[str, int, str], None]
"""Takes a task's name, the number of an example in its store, and what is new of its text."""


class Answered(NamedTuple):
    """One task's outputs of one batch."""

    task: str
    numbers: list[int]
    """Of each example in its store."""
    outputs: list[Any]
    examples: Examples
    """What was answered, as scores and readers need it."""
    odd: Tensor | int = 0
    """How many of its logits are not finite."""


def answers(
    model: MultiTaskModel,
    batch: MicroBatch | WriteBatch,
    stores: Mapping[str, ExampleStore],
    recall: Recall | None = None,
    decode: Decode | None = None,
    pieces: Written | None = None,
) -> Iterator[Answered]:
    """Answer a batch: from the logits of one pass of the trunk, or by writing texts.

    Args:
        model: On the batch's device.
        batch: What an :class:`mtl.data.loaders.EvalLoader` gives.
        stores: By task: the examples that the batch's numbers refer to.
        recall: Holds documents from their pass to the batch that writes after them; without it,
            they are read again.
        decode: Makes outputs of a task's logits in place of the task's own method.
        pieces: Told of each text as it is written.
    """
    made = decode or (lambda name, logits, own: model.tasks[name].decode(logits, own))
    if isinstance(batch, WriteBatch):
        name, store = batch.task, stores[batch.task]
        examples = store.select(batch.examples)
        write = model.tasks[name].writer()
        if write is None:
            if model.tasks[name].traits.unread:
                outputs = made(name, torch.zeros(0, 0), examples)
                yield Answered(name, batch.examples, outputs, examples)
            return
        model.trunk.read_for(name)
        outputs = write(
            model.trunk,
            model.head(name),
            examples.encoded,
            bidirectional=store.bidirectional,
            read=recall.take(name, batch.examples) if recall and batch.read else None,
            **({"pieces": _numbered(pieces, batch)} if pieces else {}),
        )
        yield Answered(name, batch.examples, outputs, examples)
        return
    for name, logits in model(batch, recall).items():
        part = batch.heads[name]
        examples = stores[name].select(part.examples, part.encoded)
        outputs = made(name, logits, examples)
        odd = (~logits.detach().isfinite()).sum()
        yield Answered(name, part.examples, outputs, examples, odd)


def _numbered(pieces: Written, batch: WriteBatch) -> Pieces:
    return lambda number, piece: pieces(batch.task, batch.examples[number], piece)


def make_task(
    name: str,
    type: str,
    *,
    options: Mapping[str, object],
    head: Mapping[str, object],
    metric: str | None = None,
    weight: float = 1.0,
    metrics: Sequence[object] = (),
) -> Task:
    """Return a task from plain values, as a configuration or a model folder has them.

    Raises:
        ConfigError: If its type is unknown, an option is wrong, or its name cannot be a module's.
    """
    kind = TASK_TYPES.get(type, f"tasks.{name}.type")
    its_options, problems = check(kind.Options, options, f"tasks.{name}.options")
    its_head, more = check(kind.HeadOptions, head, f"tasks.{name}.head")
    if problems or more:
        raise ConfigError(*problems, *more)
    task = kind(name, its_options, its_head, metric, weight, metrics)
    for key, given in ((f"tasks.{name}", name), (f"tasks.{name}.head.name", task.head_name)):
        if hasattr(_EMPTY, given):
            raise ConfigError(
                f"Expected `{key}` to have another name than '{given}', which PyTorch's modules "
                f"keep for themselves; '{given}_1' would do."
            )
    return task


def build_task(name: str, spec: TaskConfig | TaskDescription) -> Task:
    """Return a task from its configuration, or from what a model folder says of it.

    Raises:
        ConfigError: If its type is unknown or an option is wrong.
    """
    task = make_task(
        name,
        spec.type,
        options=spec.options,
        head=spec.head,
        metric=spec.metric,
        weight=spec.weight,
        metrics=spec.metrics,
    )
    task.labels = spec.data if isinstance(spec, TaskConfig) else spec.labels
    return task


def first_difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    """Return how weights in a file differ from a model's, in a few words; None if they fit."""
    for name, tensor in wanted.items():
        if name not in found:
            return f"'{name}' is missing"
        if found[name].shape != tensor.shape:
            shape, ours = tuple(found[name].shape), tuple(tensor.shape)
            return f"'{name}' has shape {shape} instead of {ours}"
    return next((f"'{name}' is one too many" for name in found if name not in wanted), None)


def build_heads(
    tasks: Sequence[Task], hidden_size: int, seed: int, output: Any = None
) -> nn.ModuleDict:
    """Return fresh heads by name, and give tasks that share one head its labels.

    Each head's weights depend on the seed and its own name alone, so that another head beside it
    changes nothing.

    Args:
        tasks: With their labels learned or loaded.
        hidden_size: D.
        seed: Of the whole run.
        output: The trunk's output layer, for heads that write text.

    Raises:
        ConfigError: If tasks name one head but need different ones.
    """
    users: dict[str, list[Task]] = {}
    for task in tasks:
        users.setdefault(task.head_name, []).append(task)
    heads = nn.ModuleDict()
    for name, (first, *others) in users.items():
        if others:
            fixed = shared(first, others)
            _check_options(first, others)
            for task in (first, *others):
                take(task, task.learned.model_copy(update=fixed))
            pool_counts((first, *others))
        with torch.random.fork_rng(devices=[]):
            seed_torch(seed, "head", name)
            head = first.build_head(hidden_size)
            head.attach(output)
            heads[name] = head
    return heads


def shared(first: Task, others: Sequence[Task]) -> Mapping[str, object]:
    """Return what one head fixes of what its tasks learned.

    Raises:
        ConfigError: If they cannot share one.
    """
    expected = f"{first.type}"
    try:
        if all((task.type, task.learns) == (first.type, first.learns) for task in others):
            return first.learned.shared([task.learned for task in others])
        expected += " that learn alike"
    except ValueError as error:
        expected += f" with {error}"
    names = ", ".join(task.name for task in (first, *others))
    raise ConfigError(
        f"Expected the tasks that share head '{first.head_name}' ({names}) to be {expected}, but "
        "they are not; give them different `head.name`s."
    )


def _check_options(first: Task, others: Sequence[Task]) -> None:
    """Refuse options of a shared head on which its tasks differ: one of them would not hold."""
    for task in others:
        for key in first.head_options.own:
            wanted, found = (getattr(t.head_options, key) for t in (first, task))
            if wanted != found:
                raise ConfigError(
                    f"Expected `tasks.{task.name}.head.{key}` to be {wanted}, as in "
                    f"`tasks.{first.name}`, because they share head '{first.head_name}', but got "
                    f"{found}."
                )
