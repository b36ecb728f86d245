"""What every process of :mod:`tests.training.forked` has when it starts."""

import importlib
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parents[2]))

for name in (
    "mtl.cli.train",
    "mtl.cli.resume",
    "mtl.config.compose",
    "mtl.training.run",
    "pandas",
    "peft",
    "rouge_score.rouge_scorer",
    "transformers.models.llama.modeling_llama",
):
    importlib.import_module(name)
