"""The whole model as a folder in the Hub's conventions, which ``mtl.load`` opens."""

from __future__ import annotations

import shutil
from pathlib import Path

from mtl.export.base import FORMATS, Made, Request, Source
from mtl.tasks import Task
from mtl.training.model_io import TRAINED_ON, load_model
from mtl.trunk.tuning.saving import FOLDER as ADAPTER

USAGE = """\
```python
import mtl

model = mtl.load("{name}")
print(model.predict("Ines Talbot liked the soup."))
```

or `mtl predict FOLDER --text "..."`. The trunk alone opens with
`transformers.AutoModel.from_pretrained`; each head is a safetensors file of its own, and `mtl.json`
says what the tasks are."""


@FORMATS.register("hub")
def hub(source: Source, request: Request, folder: Path) -> Made:
    """Copy the model, and see that it opens.

    Left out are hashes of the texts that it learned from, which say what was among them, and
    adapters that are merged into the trunk's weights.

    Raises:
        ConfigError: If only some of its tasks are asked for.
        CheckpointError: If it cannot be opened.
    """
    chosen = source.choose(request.tasks)
    tasks = [task.name for task in chosen]
    merged = not source.description.trunk.adapters
    for file in sorted(source.folder.iterdir()):
        if file.name == TRAINED_ON or (file.name == ADAPTER and merged):
            continue
        if file.is_dir():
            shutil.copytree(file, folder / file.name)
        else:
            shutil.copy2(file, folder / file.name)
    if request.tasks is not None and len(tasks) < len(source.description.tasks):
        from mtl.inference.surgery import keep_only

        keep_only(folder, tasks)
    load_model(folder, trust_remote_code=source.trust_remote_code)
    return Made("mtl", USAGE, tasks, _pipeline(source, chosen))


def _pipeline(source: Source, tasks: list[Task]) -> str | None:
    from mtl.export.heads import HEADS

    known = {HEADS.get(t.type)(source, t).pipeline for t in tasks if t.type in HEADS}
    return known.pop() if len(known) == 1 else None
