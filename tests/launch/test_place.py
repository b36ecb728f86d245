"""Which process this is, from the variables of each launcher."""

from __future__ import annotations

import pytest

from mtl.errors import ConfigError
from mtl.launch.place import WORKER, Place, first_host, is_first, launcher, place

TORCHRUN = {
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_JOB_ID": "123456",
}


def test_alone() -> None:
    assert place({}) is None
    assert launcher({}) is None
    assert is_first({})


def test_torchrun() -> None:
    found = place(dict(TORCHRUN))
    assert found == Place(rank=5, local_rank=1, world=8, local_world=4)
    assert found.nodes == 2
    assert launcher(dict(TORCHRUN)) == "torchrun"
    assert not is_first(dict(TORCHRUN))


def test_our_own_parent_is_no_launcher() -> None:
    assert launcher({**TORCHRUN, WORKER: "1"}) is None


def test_srun() -> None:
    env = dict(SRUN)
    assert place(env) == Place(rank=3, local_rank=1, world=4, local_world=2)
    assert (env["RANK"], env["GROUP_RANK"], env["MASTER_ADDR"]) == ("3", "1", "gpu07")
    assert 1024 < int(env["MASTER_PORT"]) < 32768
    assert launcher(env) == "srun"


def test_steps_of_one_job_have_ports_of_their_own() -> None:
    one, two = dict(SRUN), {**SRUN, "SLURM_STEP_ID": "3"}
    place(one)
    place(two)
    assert one["MASTER_PORT"] != two["MASTER_PORT"]


@pytest.mark.parametrize(
    "env",
    [
        {**SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_TASKS_PER_NODE": "1"},
        {k: v for k, v in SRUN.items() if "STEP" not in k},
    ],
    ids=["one task, as submitit's", "the batch script itself"],
)
def test_a_task_alone_in_slurm_may_start_its_own(env: dict[str, str]) -> None:
    assert place(dict(env)) is None


def test_unequal_machines() -> None:
    with pytest.raises(ConfigError, match=r"--ntasks-per-node"):
        place({**SRUN, "SLURM_STEP_TASKS_PER_NODE": "3,1"})
    with pytest.raises(ConfigError, match="not a multiple"):
        place({**TORCHRUN, "LOCAL_WORLD_SIZE": "3"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu1", "gpu1"),
        ("gpu1,gpu2", "gpu1"),
        ("gpu[007-009,12],b1", "gpu007"),
        ("gpu[4,7-9]", "gpu4"),
    ],
)
def test_first_host(nodes: str, first: str) -> None:
    assert first_host(nodes) == first
