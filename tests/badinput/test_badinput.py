"""Bad input of every kind through the real commands.

Each ends with exit code 2 and one message that says where and what to do; no traceback, and no
file or folder is left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtl.shipped import SCRIPT
from tests.badinput import (
    cases_config,
    cases_data,
    cases_hostile,
    cases_models,
    cases_qa,
    cases_runs,
    cases_trunk,
    cases_writing,
)
from tests.badinput.harness import Case, Result, check, snapshot, train

GROUPS = (
    cases_config,
    cases_data,
    cases_hostile,
    cases_trunk,
    cases_runs,
    cases_models,
    cases_qa,
    cases_writing,
)
CASES = [case for group in GROUPS for case in group.CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_bad_input(case: Case, folder: Path, run: Callable[[Case], Result]) -> None:
    case.prepare(folder)
    before = snapshot(folder)
    check(case, run(case))
    assert snapshot(folder) == before


def test_each_case_has_a_name_of_its_own() -> None:
    assert Counter(case.name for case in CASES).most_common(1)[0][1] == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_gpu_that_is_not_there(folder: Path, run: Callable[[Case], Result]) -> None:
    argv = train("trainer.accelerator=gpu")
    case = Case("", argv, ("`trainer.accelerator`", "which this machine has", "'gpu'"))
    before = snapshot(folder)
    check(case, run(case))
    assert snapshot(folder) == before


@pytest.mark.slow
def test_the_process_ends_with_the_code(folder: Path) -> None:
    argv = [str(SCRIPT), *train("tasks.ner.data.train=gone.jsonl")[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before = snapshot(folder)
    done = subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, check=False, env=environment
    )
    check(
        Case("", (), ("tasks.ner.data.train",)), Result(done.returncode, done.stdout, done.stderr)
    )
    assert snapshot(folder) == before
