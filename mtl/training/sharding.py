"""A model whose parameters lie in parts on all ranks: FSDP2 (``torch.distributed.fsdp``).

Ranks exchange parameters in the middle of a pass, so all must make the same passes: see
:func:`passes_of_all` and :func:`empty_pass`. Evaluation does not: there each rank holds the whole
model, without gradients, and makes its own passes and writes its own texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.distributed as dist
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from mtl.training.checkpoint import State
from mtl.training.model import MultiTaskModel
from mtl.trunk import Trunk
from mtl.types import MicroBatch, TrunkBatch


def shard(model: MultiTaskModel, mesh: DeviceMesh) -> None:
    """Part every parameter among the ranks of a mesh.

    Each layer of the trunk gathers its parameters when its turn comes; embeddings, heads and the
    rest are gathered together for the length of a pass. In an encoder-decoder everything is: a pass
    without branches leaves its decoder out, and the other ranks would wait for it.
    """
    if isinstance(model, FSDPModule):
        return
    if model.trunk.architecture != "encoder-decoder":
        for layer in layers(model.trunk):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "training_pass")
    model.touch = True


def layers(trunk: Trunk) -> list[nn.Module]:
    """Return the trunk's layers, as its own class names them."""
    names = set(getattr(trunk.model, "_no_split_modules", None) or ())
    return [m for m in trunk.model.modules() if names & {c.__name__ for c in type(m).__mro__}]


def is_sharded(model: nn.Module) -> bool:
    """Return whether a model's parameters are in parts."""
    return isinstance(model, FSDPModule)


def gather(model: nn.Module) -> None:
    """Hold the whole model on each rank until :func:`part`."""
    for module in _parted(model):
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()


def part(model: nn.Module) -> None:
    """Let go of what belongs to other ranks; the layers do it again after each pass."""
    for module in _parted(model):
        module.set_reshard_after_forward(module is not model, recurse=False)
        module.reshard()


def _parted(model: nn.Module) -> Iterator[FSDPModule]:
    return (m for m in model.modules() if isinstance(m, FSDPModule))


def passes_of_all(own: int, device: torch.device) -> int:
    """Return the most passes that any rank makes in this step."""
    most = torch.tensor(own, device=device)
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    return int(most)


def empty_pass(device: torch.device) -> MicroBatch:
    """Return a pass over one token that nothing reads: a rank's part where it has no rows."""
    zero = torch.zeros((1, 1), dtype=torch.long, device=device)
    batch = TrunkBatch(zero, zero, zero, zero, zero.bool(), plain=True)
    return MicroBatch(batch, {})


def make_whole(model: nn.Module) -> None:
    """Give every rank the whole model, for good; all must ask. It is not to be run any more.

    Names that share one parameter go on sharing it.
    """
    part(model)
    found: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        for name, value in module._parameters.items():
            if isinstance(value, DTensor):
                if value not in found:
                    plain = value.detach().full_tensor()
                    found[value] = nn.Parameter(plain, requires_grad=value.requires_grad)
                module._parameters[name] = found[value]


def whole(value: Tensor) -> Tensor:
    """Return a plain tensor; every rank must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def load_whole(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load plain weights into a module; where it is in parts, what is not learned stays."""
    if not any(isinstance(p, DTensor) for p in module.parameters()):
        module.load_state_dict(state)
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    given: State = {name: value for name, value in state.items() if not isinstance(value, DTensor)}
    options = StateDictOptions(full_state_dict=True, strict=False)
    set_model_state_dict(module, given, options=options)


def strategy_of(name: str, world: int) -> Strategy:
    """Return the Trainer's strategy for several processes, by its name in `trainer.strategy`."""
    if name == "fsdp":
        return InParts(world)
    # Buffers are the same on every rank and never change: no need to send them in every pass.
    return DDPStrategy(broadcast_buffers=False)


class InParts(ModelParallelStrategy):
    """FSDP2 whose checkpoints are those of a single process: one file, with the same numbers in it.

    Lightning's own numbers the optimiser's states anew, and cannot load them where a parameter has
    none: a head without examples so far.

    Args:
        ranks: Among which the model is parted.
    """

    def __init__(self, ranks: int) -> None:
        super().__init__(
            data_parallel_size=ranks, tensor_parallel_size=1, save_distributed_checkpoint=False
        )

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Whether Lightning calls :meth:`load_optimizer_state_dict`."""
        return True

    def optimizer_state(self, optimizer: Optimizer) -> State:
        """Return the whole state on the first rank, nothing on the others; all must ask."""
        if isinstance(optimizer, LightningOptimizer):
            optimizer = optimizer.optimizer
        found = optimizer.state_dict()
        first = self.is_global_zero
        state: dict[int, State] = {}
        for number in sorted(found["state"]):
            values = {name: whole(value) for name, value in found["state"][number].items()}
            if first:
                state[number] = {name: value.cpu() for name, value in values.items()}
        return {**found, "state": state} if first else {}

    def load_checkpoint(self, checkpoint_path: _PATH, weights_only: bool | None = None) -> State:
        """Read the whole checkpoint on each rank."""
        return super(ModelParallelStrategy, self).load_checkpoint(checkpoint_path, weights_only)

    def load_model_state_dict(
        self, checkpoint: Mapping[str, Mapping[str, Tensor]], strict: bool = True
    ) -> None:
        """Take this rank's part of the weights; a checkpoint's names have been checked by now."""
        assert self.lightning_module is not None
        load_whole(self.lightning_module, checkpoint["state_dict"])

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Sequence[State]]) -> None:
        """Take this rank's part of the optimisers' states."""
        pairs = zip(self.optimizers, checkpoint["optimizer_states"], strict=True)
        states = [_parted_state(optimizer, state) for optimizer, state in pairs]
        parted = {**checkpoint, "optimizer_states": states}
        super(ModelParallelStrategy, self).load_optimizer_state_dict(parted)


def _parted_state(optimizer: Optimizer, state: State) -> State:
    groups = zip(optimizer.param_groups, state["param_groups"], strict=True)
    owners: dict[int, Tensor] = {}
    for ours, theirs in groups:
        owners.update(zip(theirs["params"], ours["params"], strict=True))
    return {
        **state,
        "state": {
            number: {name: _like(value, owners[number]) for name, value in values.items()}
            for number, values in state["state"].items()
        },
    }


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """Return this rank's part of a tensor that is as large as a parameter in parts."""
    if not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    mesh = parameter.device_mesh
    value = value.to(parameter.device)
    return distribute_tensor(value, mesh, parameter.placements, src_data_rank=None)
