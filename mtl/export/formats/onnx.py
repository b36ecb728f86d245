"""ONNX: the trunk in a file, each head in one of its own; ``--int8`` adds a quantized trunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mtl.export.base import FORMATS, Made, Request, Source, refused, whole_trunk
from mtl.export.int8 import measure, test_rows
from mtl.export.onnx_files import Session, check_installed, quantize, write_graph
from mtl.export.onnx_graph import HeadGraph, Reads, TrunkGraph, reads_of
from mtl.export.samples import Sample, lines, samples, states_of
from mtl.export.tokenizing import our_tokenizer
from mtl.heads.base import Head
from mtl.tasks import Task
from mtl.tasks.span_extraction import SpanOptions
from mtl.types import IntArray

Array = npt.NDArray[Any]
TRUNK, INT8 = "trunk.onnx", "trunk.int8.onnx"
INPUTS: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids")
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


BESIDE = """

Two texts, such as a text and a question, are given as
`tokenizer(texts, questions, padding=True, return_tensors="np")`; `token_type_ids` goes into the
trunk, too, and says where the second begins. A question, or a choice, has a row of its own. Where a
head `reads` `question`, its logits at the question's last token are those of "the answer is not
here". Choices are compared by the softmax of their logits."""


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
    beside, tokenizer = has_branches(asked), tokenizer_of(source, asked)
    for name, found in asked.items():
        if not reads_alike(tokenizer, loaded.model.tasks[name], found):
            expected = "to be for tasks whose two texts stand alike"
            other = f"those of '{name}' stand otherwise than another task's"
            raise refused(WHERE, expected, other, f"Export it alone: --task {name}.")
    tokenizer.save_pretrained(folder)
    given = dict(zip(INPUTS, _example(source), strict=True))
    names = INPUTS if beside else INPUTS[:2]
    write_graph(TrunkGraph(trunk), [given[n] for n in names], (*names, "states"), folder / TRUNK)
    given["states"] = torch.zeros(*given["input_ids"].shape, trunk.width)
    for name in made.tasks:
        names = ("states", *INPUTS[1 : 3 if reads[name] == "beside" else 2])
        graph = HeadGraph(loaded.model.head(name), reads[name])
        file = folder / f"head-{name}.onnx"
        write_graph(graph, [given[n] for n in names], (*names, "logits"), file)
    compare(source, folder, asked, reads)
    made.usage = USAGE.format(name="{name}", folder="{folder}", task=made.tasks[0])
    made.usage += BESIDE if beside else ""
    made.facts = {"reads": reads, "files": [TRUNK, *(f"head-{n}.onnx" for n in made.tasks)]}
    if request.int8:
        quantize(folder / TRUNK, folder / INT8)
        made.facts["files"].append(INT8)
        made.sections["8 bits"] = measure(source, folder / TRUNK, folder / INT8, made.tasks)
    return made


def tokenizer_of(source: Source, asked: Mapping[str, Sequence[Sample]]) -> Any:
    """Return a tokenizer for texts, and for two as the first task reads them that reads two."""
    tasks = source.loaded.model.tasks
    two = [name for name, found in asked.items() if any(pairs_of(tasks[name], o) for o in found)]
    beside = has_branches(asked)
    return our_tokenizer(source.loaded, two[0] if two and not beside else None, beside=beside)


def has_branches(asked: Mapping[str, Sequence[Sample]]) -> bool:
    """Return whether any of the tasks reads a second text as a branch of the first."""
    return any(one.example.branches for found in asked.values() for one in found)


def reads_alike(tokenizer: Any, task: Task, asked: Sequence[Sample]) -> bool:
    """Return whether a tokenizer gives a task's two texts as they are read; true for one text."""
    return all(
        tokenizer(*texts)["input_ids"] == line.ids.tolist()
        for one in asked
        for line, texts in zip(lines(one), pairs_of(task, one), strict=False)
    )


def pairs_of(task: Task, one: Sample) -> list[tuple[str, str]]:
    """Return the two texts of each line of a row, in the order in which they are read."""
    row, learned = one.row, task.learned
    if "choices" in row:
        lead = f"{row['question']} " if "question" in learned.wants else ""
        return [(row["text"], lead + choice) for choice in row["choices"]]
    if isinstance(task.options, SpanOptions):
        both = (row["text"], row["question"])
        return [both if one.example.branches else both[::-1]]
    return [(row["text"], row["second"])] if "second" in learned.wants else []


def why_not(source: Source, task: Task, found: Sequence[Sample]) -> str | None:
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
        return "it reads a text otherwise than by one or all of its states"
    if not reads_alike(tokenizer_of(source, {task.name: found}), task, found):
        return "its two texts are joined otherwise than a tokenizer does it"
    return None


def _example(source: Source) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return token ids, which are real, and their types, of two texts of different lengths."""
    encoder = source.loaded.encoder
    (tokens,) = encoder.tokenize(["Ines Talbot left Brackwater before the rain."])
    ids = encoder.document(tokens, (0, min(len(tokens), encoder.room)))
    both = torch.from_numpy(np.stack([ids, ids])).long()
    mask, types = torch.ones_like(both), torch.zeros_like(both)
    mask[1, -1] = 0
    types[:, -3:] = 1
    return both, mask, types


def compare(
    source: Source, folder: Path, asked: dict[str, list[Sample]], reads: dict[str, Reads]
) -> None:
    """Run the files on texts of several lengths, alone and together, and compare with ours.

    Raises:
        ConfigError: If they differ by more than :data:`TOLERANCE`.
    """
    trunk = Session(folder / TRUNK)
    for name, found in asked.items():
        head = Session(folder / f"head-{name}.onnx")
        if not found:
            _compare_writing(source, trunk, head, name)
            continue
        rows = [line for one in found for line in lines(one)]
        for batch in [[line] for line in rows] + [rows]:
            ids, mask = padded([line.ids for line in batch])
            types, _ = padded([line.beside for line in batch])
            more = {"attention_mask": mask, "token_type_ids": types}
            logits = head(states=trunk(input_ids=ids, **more), **more)
            for place, line in enumerate(batch):
                each = reads[name] in ("tokens", "question")
                own = logits[place][line.places] if each else logits[place : place + 1]
                _close(own, line.logits.numpy(), name)


def _compare_writing(source: Source, trunk: Session, head: Session, name: str) -> None:
    ids, mask, _ = (tensor.numpy() for tensor in _example(source))
    types = np.zeros_like(ids[:1])
    states = trunk(input_ids=ids[:1], attention_mask=mask[:1], token_type_ids=types)
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
