"""Which process of a run this one is, whoever started it.

Our own parent (:mod:`mtl.launch.parent`) and ``torchrun`` say so in the same variables; those of
SLURM's ``srun`` are translated into them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import MutableMapping
from dataclasses import dataclass

from mtl.errors import ConfigError

Environment = MutableMapping[str, str]

WORKER = "MTL_WORKER"
"""Set in processes that our own parent started."""

NEEDED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class Place:
    """This process among those of its run."""

    rank: int
    local_rank: int
    world: int
    """Processes of all machines."""
    local_world: int
    """Processes of this machine."""

    @property
    def nodes(self) -> int:
        """Machines."""
        return self.world // self.local_world


def place(environment: Environment | None = None) -> Place | None:
    """Return this process's place, or None if it stands alone.

    Variables of ``srun`` become those that PyTorch reads, unless those are there.

    Raises:
        ConfigError: If a launcher left out what is needed, or the machines have unequal numbers
            of processes.
    """
    env = os.environ if environment is None else environment
    _adopt_slurm(env)
    if "RANK" not in env or "WORLD_SIZE" not in env:
        return None
    if missing := [name for name in NEEDED if name not in env]:
        raise ConfigError(
            f"Expected the launcher to set {', '.join(NEEDED)}, but {', '.join(missing)} is not "
            "set; start the run with torchrun or srun, or unset RANK and WORLD_SIZE."
        )
    world = int(env["WORLD_SIZE"])
    found = Place(
        rank=int(env["RANK"]),
        local_rank=int(env["LOCAL_RANK"]),
        world=world,
        local_world=int(env.get("LOCAL_WORLD_SIZE", world)),
    )
    if found.world % found.local_world:
        raise ConfigError(
            f"Expected every machine to run as many processes, but {found.world} in all are not a "
            f"multiple of the {found.local_world} here; give the launcher one number for all."
        )
    return found


def several() -> Place | None:
    """Return this process's place if its run has others, else None."""
    here = place()
    return None if here is None or here.world == 1 else here


def launcher(environment: Environment | None = None) -> str | None:
    """Return what started this process as one of several: ``torchrun``, ``srun``, or None.

    None as well for the processes of our own parent, whose command line has no say.
    """
    env = os.environ if environment is None else environment
    if WORKER in env or place(env) is None:
        return None
    return "srun" if "SLURM_STEP_NUM_TASKS" in env else "torchrun"


def is_first(environment: Environment | None = None) -> bool:
    """Return whether this process is the first of its run, or stands alone."""
    found = place(environment)
    return found is None or found.rank == 0


def _adopt_slurm(env: Environment) -> None:
    """Translate the variables of a task that ``srun`` started beside others.

    A batch script itself, or a single task, has no others: it may start processes of its own.
    """
    if "RANK" in env or int(env.get("SLURM_STEP_NUM_TASKS", "1")) < 2:
        return
    per_node = env.get("SLURM_STEP_TASKS_PER_NODE", env["SLURM_STEP_NUM_TASKS"])
    hosts = env.get("SLURM_STEP_NODELIST", env.get("SLURM_NODELIST", ""))
    job = int(env.get("SLURM_JOB_ID", "0")) + int(env.get("SLURM_STEP_ID", "0"))
    env["RANK"] = env["SLURM_PROCID"]
    env["LOCAL_RANK"] = env["SLURM_LOCALID"]
    env["GROUP_RANK"] = env["NODE_RANK"] = env.get("SLURM_NODEID", "0")
    env["WORLD_SIZE"] = env["SLURM_STEP_NUM_TASKS"]
    env["LOCAL_WORLD_SIZE"] = str(_equal(per_node))
    env.setdefault("MASTER_ADDR", first_host(hosts) if hosts else "127.0.0.1")
    env.setdefault("MASTER_PORT", str(20000 + job % 12000))


def _equal(per_node: str) -> int:
    """Return the number of tasks of every node from SLURM's ``4(x3)``, or ``2,2``."""
    counts = {int(part.partition("(")[0]) for part in per_node.split(",")}
    if len(counts) > 1:
        raise ConfigError(
            f"Expected every machine to run as many processes, but SLURM has {per_node}; set "
            "--ntasks-per-node."
        )
    return counts.pop()


def first_host(nodes: str) -> str:
    """Return the first host of SLURM's list of nodes, such as ``a[007-009,12],b1``."""
    try:
        command = ["scontrol", "show", "hostnames", nodes]
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
        return shown.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        pattern = r"([^,\[]+)(?:\[([^\]]*)\])?"
        found = re.match(pattern, nodes)
        if found is None:
            return nodes
        name, numbers = found.groups()
        return name + re.split("[-,]", numbers)[0] if numbers else name
