"""Adapters in peft's format: ``PeftModel.from_pretrained`` opens them over their base model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mtl.export.base import FORMATS, Made, Request, Source, lacks, refused
from mtl.tasks import Task
from mtl.trunk.tuning.saving import FOLDER

CONFIG = "adapter_config.json"
USAGE = """\
```python
from peft import PeftModel
from transformers import AutoModel

trunk = AutoModel.from_pretrained("{base}", dtype="float32")
model = PeftModel.from_pretrained(trunk, "{name}")
```

Its hidden states are those of the trained trunk. The heads are in the files `head-*.safetensors`:
`logits = states @ weight.T + bias` at the places that the manifest's tasks read; with all of them,
`mtl export --format hub` is easier to use."""


@FORMATS.register("adapter")
def adapter(source: Source, request: Request, folder: Path) -> Made:
    """Copy the adapters and the heads.

    Raises:
        CheckpointError: If the model was trained without adapters.
        ConfigError: If tasks have one each, and none is named.
    """
    tasks = source.choose(request.tasks)
    there = source.folder / FOLDER
    if source.description.trunk.adapters:
        there /= _one(tasks).name
    if not (there / CONFIG).is_file():
        advice = "Train with adapters (tuning=lora), or use `--format hub` for the whole model."
        raise lacks(source.folder, "adapters of its own", advice)
    for file in sorted(there.iterdir()):
        shutil.copy2(file, folder / file.name)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    base = request.base or config["base_model_name_or_path"]
    config["base_model_name_or_path"] = base
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    source.loaded.encoder.tokenizer.save_pretrained(folder)
    for name in dict.fromkeys(task.head_name for task in tasks):
        shutil.copy2(source.folder / f"head-{name}.safetensors", folder)
    made = Made("peft", USAGE, [task.name for task in tasks], base=base)
    if base is None or Path(base).exists():
        made.notes.append(
            f"The adapters are for the model in the folder '{base}', which others do not have; "
            "`--base OWNER/NAME` names where it is on the Hub."
        )
    return made


def _one(tasks: list[Task]) -> Task:
    """Return the task that was named, of those that have an adapter each."""
    if len(tasks) != 1:
        found = f"{', '.join(task.name for task in tasks)} have an adapter each"
        raise refused("--task", "to name one task", found, "Choose one: --task NAME.")
    return tasks[0]
