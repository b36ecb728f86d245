"""ONNX: the trunk in a file, each head in one of its own; ``--int8`` adds a quantized trunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mtl.export.base import FORMATS, Made, Request, Source, refused, whole_trunk
from mtl.export.int8 import measure, test_rows
from mtl.export.onnx_files import Session, check_installed, quantize, write_graph
from mtl.export.onnx_graph import HeadGraph, Reads, TrunkGraph, reads_of
from mtl.export.samples import Sample, samples, states_of
from mtl.export.tokenizing import our_tokenizer
from mtl.heads.base import Head
from mtl.tasks import Task
from mtl.types import IntArray

Array = npt.NDArray[Any]
TRUNK, INT8 = "trunk.onnx", "trunk.int8.onnx"
TOLERANCE = 1e-4
WHERE = "--format onnx"
ADVICE = "Use `--format hub`, which mtl.load opens."
WANTED = "to be for heads that are functions of a text's states"
USAGE = """\
```python
import numpy as np
import onnxruntime
from transformers import AutoTokenizer

folder = "{name}"
tokenizer = AutoTokenizer.from_pretrained(folder)
names = ("trunk", "head-{task}")
run = {{n: onnxruntime.InferenceSession(f"{{folder}}/{{n}}.onnx") for n in names}}

given = tokenizer(["Ines Talbot left.", "No."], padding=True, return_tensors="np")
ids, mask = (given[n].astype(np.int64) for n in ("input_ids", "attention_mask"))
(states,) = run["trunk"].run(None, {{"input_ids": ids, "attention_mask": mask}})
named = {{"states": states, "attention_mask": mask}}
taken = {{i.name: named[i.name] for i in run["head-{task}"].get_inputs()}}
(logits,) = run["head-{task}"].run(None, taken)
```

The trunk runs once for all heads. A head whose `reads` in the manifest is `tokens` has logits for
each token, (texts, tokens, labels), the others for each text, (texts, labels). Pad on the right."""


@FORMATS.register("onnx")
def onnx(source: Source, request: Request, folder: Path) -> Made:
    """Write the files, run them, and compare.

    Raises:
        ConfigError: If a task that was named, or all, cannot be had, or a file says something else.
    """
    check_installed()
    whole_trunk(source, WHERE)
    if request.int8:
        test_rows(source, [task.name for task in source.choose(request.tasks)])
    loaded, trunk = source.loaded, source.loaded.model.trunk
    made = Made("onnx", "", [])
    asked: dict[str, list[Sample]] = {}
    reads: dict[str, Reads] = {}
    for task in source.choose(request.tasks):
        found = samples(loaded, task) if not task.traits.writes else []
        reason = why_not(source, task, found)
        if reason is not None:
            if request.tasks is not None:
                found_none = f"that of task '{task.name}' is none: {reason}"
                raise refused(WHERE, WANTED, found_none, ADVICE)
            made.notes.append(f"Left out: task '{task.name}', because {reason}.")
            continue
        made.tasks.append(task.name)
        asked[task.name] = found
        reads[task.name] = reads_of(found) or "tokens"
    if not made.tasks:
        expected = "to have a task whose head is a function of a text's states"
        raise refused(WHERE, expected, "the model has none", ADVICE)
    tokenizer = our_tokenizer(loaded)
    tokenizer.save_pretrained(folder)
    ids, mask = _example(source)
    write_graph(
        TrunkGraph(trunk), (ids, mask), ("input_ids", "attention_mask", "states"), folder / TRUNK
    )
    states = torch.zeros(*ids.shape, trunk.width)
    for name in made.tasks:
        graph = HeadGraph(loaded.model.head(name), reads[name])
        write_graph(
            graph,
            (states, mask),
            ("states", "attention_mask", "logits"),
            folder / f"head-{name}.onnx",
        )
    compare(source, folder, asked, reads)
    made.usage = USAGE.format(name="{name}", folder="{folder}", task=made.tasks[0])
    made.facts = {"reads": reads, "files": [TRUNK, *(f"head-{n}.onnx" for n in made.tasks)]}
    if request.int8:
        quantize(folder / TRUNK, folder / INT8)
        made.facts["files"].append(INT8)
        made.sections["8 bits"] = measure(source, folder / TRUNK, folder / INT8, made.tasks)
    return made


def why_not(source: Source, task: Task, found: list[Sample]) -> str | None:
    """Return why a head is no function of states of one text, after "because"; None if it is."""
    head, trunk = source.loaded.model.head(task.name), source.loaded.model.trunk
    if type(head).settled is not Head.settled:
        return "its labels depend on each other (head.decoding=crf)"
    if source.loaded.attention(task.name) != trunk.attention:
        return "it reads documents otherwise than the trunk's other tasks"
    if task.traits.writes:
        if trunk.architecture == "encoder-decoder":
            return "it writes with the decoder of an encoder-decoder"
        return None
    if reads_of(found) is None:
        return "it reads a second text as a branch, or several texts for an answer"
    return None


def _example(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and which are real, of two texts of different lengths."""
    encoder = source.loaded.encoder
    (tokens,) = encoder.tokenize(["Ines Talbot left Brackwater before the rain."])
    ids = encoder.document(tokens, (0, min(len(tokens), encoder.room)))
    both = torch.from_numpy(np.stack([ids, ids])).long()
    mask = torch.ones_like(both)
    mask[1, -1] = 0
    return both, mask


def compare(
    source: Source, folder: Path, asked: dict[str, list[Sample]], reads: dict[str, Reads]
) -> None:
    """Run the files on texts of several lengths, alone and together, and compare with ours.

    Raises:
        ConfigError: If they differ by more than :data:`TOLERANCE`.
    """
    trunk = Session(folder / TRUNK)
    for name, rows in asked.items():
        head = Session(folder / f"head-{name}.onnx")
        if not rows:
            _compare_writing(source, trunk, head, name)
            continue
        for batch in [[one] for one in rows] + [rows]:
            ids, mask = padded([one.ids for one in batch])
            found = head(states=trunk(input_ids=ids, attention_mask=mask), attention_mask=mask)
            for place, one in enumerate(batch):
                own = (
                    found[place][one.example.offset]
                    if reads[name] == "tokens"
                    else found[place : place + 1]
                )
                _close(own, one.logits.numpy(), name)


def _compare_writing(source: Source, trunk: Session, head: Session, name: str) -> None:
    ids, mask = (tensor.numpy() for tensor in _example(source))
    states = trunk(input_ids=ids[:1], attention_mask=mask[:1])
    found = head(states=states, attention_mask=mask[:1])
    model = source.loaded.model
    with torch.inference_mode():
        wanted = model.head(name)(states_of(model.trunk, ids[0].astype(np.int32)))
    _close(found[0], wanted.numpy(), name)


def _close(found: Array, wanted: Array, name: str) -> None:
    far = float(np.abs(found - wanted).max())
    if not far <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):  # nor is what is no number
        expected = "to give the logits that the model gives"
        raise refused(WHERE, expected, f"those of task '{name}' are {far:.2g} apart", ADVICE)


def padded(texts: list[IntArray]) -> tuple[Array, Array]:
    """Return token ids (B, T) and which are real, padded on the right."""
    width = max(map(len, texts))
    ids, mask = np.zeros((2, len(texts), width), dtype=np.int64)
    for number, text in enumerate(texts):
        ids[number, : len(text)] = text
        mask[number, : len(text)] = 1
    return ids, mask
