"""Texts that go on from documents of a shared pass, against texts whose prompts are read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl.layout import Unit, build_rows
from mtl.trunk.generate import Decoding, Prompt, generate
from mtl.trunk.recall import Recall, empty_cache
from mtl.trunk.trunk import Trunk
from mtl.types import Kept
from tests.helpers import ints
from tests.trunk.families import DECODERS, FAMILIES
from tests.trunk.writers import likeliest, load_writer, prompts

KEEPERS = ["llama", "qwen2", "qwen3", "gpt2", "mistral", "opt", "gpt_neox"]
SIZES = (9, 4, 12, 6, 1)


def read(trunk: Trunk, given: list[Prompt], recall: Recall, first: int = 0) -> None:
    """Read documents in rows of two, each with a branch that nothing is written after."""
    units = [Unit(p.document, [ints(7, 8, 9 + n)]) for n, p in enumerate(given)]
    rows = [units[at : at + 2] for at in range(0, len(units), 2)]
    built = build_rows(rows, 0, bidirectional=False)
    starts = [start for row in built.starts for start in row]
    kept = [
        Kept(start, len(p.document), [("write", first + n), ("again", first + n)])
        for n, (start, p) in enumerate(zip(starts, given, strict=True))
    ]
    cache = empty_cache(trunk.config)
    with torch.no_grad():
        plain = trunk(built.batch)
        assert torch.allclose(trunk(built.batch, cache), plain, atol=1e-5)
    recall.keep(cache, built.batch.unit, kept)


def texts(found: Any) -> Any:
    return [[h.ids.tolist() for h in each] for each in found]


def test_families() -> None:
    assert set(KEEPERS) == {n for n in DECODERS if "window" not in n and n != "gemma3"}


@pytest.mark.parametrize("name", FAMILIES)
def test_which_trunks_keep(tmp_path: Path, name: str) -> None:
    """Not those that look through a window, nor those whose rows cannot be shared."""
    if name in ("bert", "roberta", "distilbert", "modernbert"):
        return
    assert load_writer(name, tmp_path).keeps == (name in KEEPERS)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", KEEPERS)
def test_what_is_written_is_the_same(tmp_path: Path, name: str, beams: int) -> None:
    """In one batch of two passes, and one at a time."""
    trunk = load_writer(name, tmp_path)
    given, recall = prompts(trunk, SIZES), Recall()
    read(trunk, given[:2], recall)
    read(trunk, given[2:], recall, first=2)
    decoding = Decoding(max_new_tokens=8, num_beams=beams, num_return_sequences=beams)
    wanted = generate(trunk, given, decoding)
    order = [3, 0, 4, 1, 2]
    found = generate(trunk, [given[n] for n in order], decoding, read=recall.take("write", order))
    assert texts(found) == [texts(wanted)[n] for n in order]
    for n, each in zip(order, found, strict=True):
        scores = [h.score for h in wanted[n]]
        assert [h.score for h in each] == pytest.approx(scores, abs=1e-4)
    for n, prompt in enumerate(given):
        (alone,) = generate(trunk, [prompt], decoding, read=recall.take("again", [n]))
        assert texts([alone]) == [texts(wanted)[n]]
    if beams == 1:
        assert texts(found) == [[likeliest(trunk, given[n], 8)] for n in order]


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("lengths", [(3, 0, 5, 1, 2), (0, 0, 0, 0, 0), (20, 1, 1, 1, 1)])
def test_branches_of_any_length(tmp_path: Path, lengths: tuple[int, ...], beams: int) -> None:
    """Also none, and one longer than other rows' documents."""
    trunk = load_writer("llama", tmp_path)
    rng = np.random.default_rng(1)
    documents = [p.document for p in prompts(trunk, SIZES)]
    branches = [rng.integers(5, 199, n).astype(np.int32) for n in lengths]
    given = [Prompt(d, b) for d, b in zip(documents, branches, strict=True)]
    recall, decoding = Recall(), Decoding(max_new_tokens=6, num_beams=beams)
    read(trunk, given, recall)
    wanted = texts(generate(trunk, given, decoding))
    everything = range(len(given))
    assert texts(generate(trunk, given, decoding, read=recall.take("write", everything))) == wanted
    (last,) = texts(generate(trunk, given[-1:], decoding, read=recall.take("again", [4])))
    assert last == wanted[-1]


def test_documents_are_really_not_read_again(tmp_path: Path) -> None:
    """Other keys and values, other texts; and `generate` reads the branch's tokens only."""
    trunk = load_writer("llama", tmp_path)
    given, recall = prompts(trunk, (9, 9)), Recall()
    read(trunk, given, recall)
    decoding = Decoding(max_new_tokens=8)
    wanted = texts(generate(trunk, given, decoding))
    widths: list[int] = []

    def look(module: Any, arguments: Any, options: dict[str, Any]) -> None:
        widths.append(options["input_ids"].shape[1])

    hook = trunk.model.register_forward_pre_hook(look, with_kwargs=True)
    swapped = texts(generate(trunk, given, decoding, read=recall.take("write", [1, 0])))
    hook.remove()
    assert swapped != wanted
    assert widths == [3, *[1] * (len(widths) - 1)]


def test_sampling_draws_the_same(tmp_path: Path) -> None:
    trunk = load_writer("llama", tmp_path)
    given, recall = prompts(trunk, SIZES), Recall()
    read(trunk, given, recall)
    decoding = Decoding(max_new_tokens=8, do_sample=True, num_return_sequences=3)
    wanted = texts(generate(trunk, given, decoding, seed=1))
    found = generate(trunk, given, decoding, seed=1, read=recall.take("write", range(5)))
    assert texts(found) == wanted


def test_nothing_is_held_after_the_last_text(tmp_path: Path) -> None:
    trunk = load_writer("llama", tmp_path)
    given, recall = prompts(trunk), Recall()
    read(trunk, given, recall)
    recall.take("write", range(3))
    recall.take("again", range(3))
    with pytest.raises(KeyError):
        recall.take("again", [0])
