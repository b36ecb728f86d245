"""What `generate` writes, against the trunk asked one token at a time, without a cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl.config.schema import TrunkConfig
from mtl.layout import Unit, build_rows
from mtl.trunk.generate import Decoding, Hypothesis, Prompt, generate
from mtl.trunk.load import load_trunk
from mtl.trunk.text import end_id
from mtl.trunk.trunk import Trunk
from mtl.types import IntArray
from tests.helpers import bpe_tokenizer, fast, ints, metaspace_tokenizer, wordpiece_tokenizer
from tests.trunk.families import APART, FAMILIES
from tests.trunk.writers import WRITERS, likeliest, load_writer, prompts, save_writer

BOTH_WAYS = [name for name in WRITERS if name not in (*APART, "t5")]
DECODER = "llama"
LENGTH = 8


def greedy(length: int = LENGTH, **options: Any) -> Decoding:
    return Decoding(max_new_tokens=length, **options)


def ids_of(found: list[list[Hypothesis]]) -> list[list[list[int]]]:
    return [[h.ids.tolist() for h in each] for each in found]


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Trunk:
    """A Llama; tests leave it as it was."""
    return load_writer(DECODER, tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("name", WRITERS)
def test_greedy_is_the_likeliest_token_each_time(tmp_path: Path, name: str) -> None:
    check_greedy(load_writer(name, tmp_path))


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_greedy_after_documents_that_see_all_of_themselves(tmp_path: Path, name: str) -> None:
    both = load_writer(name, tmp_path, attention="bidirectional")
    check_greedy(both)
    given = prompts(both)
    causal = [Prompt(p.document, p.branch) for p in given]
    decoding = greedy()
    if "window" not in name:  # Through one of three tokens, the document hardly matters.
        assert ids_of(generate(both, given, decoding)) != ids_of(generate(both, causal, decoding))


def check_greedy(trunk: Trunk) -> None:
    """In one batch and one at a time."""
    given = prompts(trunk)
    wanted = [[likeliest(trunk, p, LENGTH)] for p in given]
    assert len({tuple(w[0]) for w in wanted}) > 1
    assert ids_of(generate(trunk, given, greedy())) == wanted
    assert [ids_of(generate(trunk, [p], greedy()))[0] for p in given] == wanted


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", [DECODER, "gpt2", "t5", "bart"])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_tokenizers_padding_side_is_no_matter(
    tmp_path: Path, name: str, side: str, beams: int
) -> None:
    trunk = load_writer(name, tmp_path)
    trunk.tokenizer.padding_side = side
    given = prompts(trunk, (11, 1, 5))
    alone = [generate(trunk, [p], greedy(num_beams=beams))[0] for p in given]
    together = generate(trunk, given, greedy(num_beams=beams))
    assert ids_of(together) == ids_of(alone)
    for some, others in zip(together, alone, strict=True):
        assert [h.score for h in some] == pytest.approx([h.score for h in others], abs=1e-5)


def log_probabilities(trunk: Trunk, prompt: Prompt, written: list[int]) -> torch.Tensor:
    """Return those of the next token, shape (V,)."""
    branch = np.concatenate([prompt.branch, np.asarray(written, dtype=np.int32)])
    batch = build_rows([[Unit(prompt.document, [branch])]], 0, bidirectional=False).batch
    assert trunk.output is not None
    with torch.no_grad():
        return trunk.output(trunk(batch)[-1:])[0].log_softmax(-1)


def all_beams(
    trunk: Trunk, prompt: Prompt, beams: int, length: int
) -> list[tuple[float, list[int]]]:
    """Beam search of texts of a fixed length, written out: the best `beams` of all extensions."""
    end = end_id(trunk.tokenizer)
    assert end is not None
    found: list[tuple[float, list[int]]] = [(0.0, [])]
    for _ in range(length):
        longer = []
        for score, written in found:
            chances = log_probabilities(trunk, prompt, written)
            chances[end] = -torch.inf
            best = chances.topk(beams)
            longer += [
                (score + v, [*written, t])
                for v, t in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
        found = sorted(longer, reverse=True)[:beams]
    return found


@pytest.mark.parametrize("name", [DECODER, "qwen3", "t5", "bart"])
def test_beams_are_those_of_a_slow_search(tmp_path: Path, name: str) -> None:
    trunk, length, beams = load_writer(name, tmp_path), 5, 3
    given = prompts(trunk)
    decoding = greedy(
        length, min_new_tokens=length, num_beams=beams, num_return_sequences=2, length_penalty=1.0
    )
    for prompt, found in zip(given, generate(trunk, given, decoding), strict=True):
        wanted = all_beams(trunk, prompt, beams, length)[:2]
        assert [h.ids.tolist() for h in found] == [ids for _, ids in wanted]
        means = [total / length for total, _ in wanted]
        assert [h.score for h in found] == pytest.approx(means, abs=1e-4)


def test_greedy_texts_have_no_score(trunk: Trunk) -> None:
    assert [h.score for (h,) in generate(trunk, prompts(trunk), greedy())] == [None] * 3


def test_sampling_follows_the_seed(trunk: Trunk) -> None:
    given, decoding = prompts(trunk), greedy(do_sample=True, num_return_sequences=3)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(ids_of(generate(trunk, given, decoding)))
    assert found[0] == found[1] != found[2]
    assert all(len(each) == 3 for each in found[0])
    assert len({tuple(ids) for each in found[0] for ids in each}) > 3


def test_several_samples_after_documents_that_see_all_of_themselves(tmp_path: Path) -> None:
    trunk = load_writer(DECODER, tmp_path, attention="bidirectional")
    given = prompts(trunk)
    wanted = ids_of(generate(trunk, given, greedy()))
    sure = greedy(do_sample=True, top_k=1, num_return_sequences=3)
    assert ids_of(generate(trunk, given, sure)) == [each * 3 for each in wanted]


def test_sampling_with_a_seed_of_its_own(trunk: Trunk) -> None:
    """It leaves the global generator alone, and draws otherwise for other documents."""
    given, decoding = prompts(trunk), greedy(do_sample=True)
    found = []
    for seed in (1, 1, 2):
        before = torch.random.get_rng_state()
        found.append(ids_of(generate(trunk, given, decoding, seed=seed)))
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.rand(3)
    assert found[0] == found[1] != found[2]
    assert ids_of(generate(trunk, given[:1], decoding, seed=1))[0] != found[0][0]


def test_sampling_is_told_from_what(trunk: Trunk) -> None:
    """Of one token, or at almost no temperature, it is greedy; of more it is not."""
    given = prompts(trunk)
    wanted = ids_of(generate(trunk, given, greedy()))
    for sure in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}):
        assert ids_of(generate(trunk, given, greedy(do_sample=True, **sure))) == wanted
    torch.manual_seed(0)
    assert ids_of(generate(trunk, given, greedy(do_sample=True))) != wanted
    ignored = greedy(temperature=9.0, top_k=3, top_p=0.2)
    assert ids_of(generate(trunk, given, ignored)) == wanted


@pytest.mark.parametrize("name", [DECODER, "t5"])
@pytest.mark.parametrize("beams", [1, 2])
def test_lengths_are_kept(tmp_path: Path, name: str, beams: int) -> None:
    trunk = load_writer(name, tmp_path)
    prefer_end(trunk)
    given = prompts(trunk)
    for least, most in ((0, 12), (1, 1), (7, 7), (5, 12)):
        decoding = greedy(most, min_new_tokens=least, num_beams=beams)
        sizes = [len(h.ids) for (h,) in generate(trunk, given, decoding)]
        assert all(least <= size <= most for size in sizes), (least, most, sizes)
    assert [len(h.ids) for (h,) in generate(trunk, given, greedy(12))] != [12] * 3


def prefer_end(trunk: Trunk) -> None:
    """Make the end token likely, so that it has to be held back."""
    assert trunk.output is not None
    end = end_id(trunk.tokenizer)
    weight = trunk.output.projection.weight
    with torch.no_grad():
        weight[end] = weight.abs().max(0).values * weight[:60].mean(0).sign() * 2


@pytest.mark.parametrize("name", [DECODER, "t5"])
@pytest.mark.parametrize("beams", [1, 3])
def test_no_sequence_is_written_twice(tmp_path: Path, name: str, beams: int) -> None:
    trunk = load_writer(name, tmp_path)
    narrow(trunk)
    given = prompts(trunk)
    plain = generate(trunk, given, greedy(20, min_new_tokens=20, num_beams=beams))
    assert any(repeats(h.ids, 2) for (h,) in plain)
    decoding = greedy(20, min_new_tokens=20, no_repeat_ngram_size=2, num_beams=beams)
    assert not any(repeats(h.ids, 2) for (h,) in generate(trunk, given, decoding))


def narrow(trunk: Trunk) -> None:
    """Make few tokens likely, so that they come again."""
    assert trunk.output is not None
    projection = trunk.output.projection
    with torch.no_grad():
        projection.weight[20:] *= 0.01


def repeats(ids: IntArray, size: int) -> bool:
    found = [tuple(ids[at : at + size].tolist()) for at in range(len(ids) - size + 1)]
    return len(set(found)) < len(found)


def test_what_is_read_may_be_written(trunk: Trunk) -> None:
    """Only what was written counts: neither the document nor the padding of a batch."""
    (prompt,) = prompts(trunk, (6,))
    written = likeliest(trunk, prompt, LENGTH)
    decoding = greedy(no_repeat_ngram_size=1)
    (free,) = generate(trunk, [prompt], decoding)
    again = Prompt(np.concatenate([ints(*written), prompt.document]), prompt.branch)
    wanted = distinct(trunk, again)
    assert set(wanted) & set(again.document.tolist())
    assert free[0].ids.tolist() == distinct(trunk, prompt)
    longer = Prompt(np.tile(prompt.document, 3), prompt.branch)
    found = generate(trunk, [longer, again, prompt], decoding)
    assert [h.ids.tolist() for (h,) in found[1:]] == [wanted, free[0].ids.tolist()]


def distinct(trunk: Trunk, prompt: Prompt) -> list[int]:
    """Return what greedy search writes that takes no token twice."""
    written: list[int] = []
    for _ in range(LENGTH):
        chances = log_probabilities(trunk, prompt, written)
        chances[written] = -torch.inf
        token = int(chances.argmax())
        if token == end_id(trunk.tokenizer):
            break
        written.append(token)
    return written


@pytest.mark.parametrize("name", [DECODER, "gpt_neox", "t5", "bart"])
def test_a_projection_of_the_heads_own(tmp_path: Path, name: str) -> None:
    """It is used, for all steps, and the model's own is there again afterwards."""
    trunk = load_writer(name, tmp_path)
    assert trunk.output is not None
    given, model = prompts(trunk), trunk.output.model
    before = ids_of(generate(trunk, given, greedy()))
    state = {name: id(p) for name, p in model.named_parameters()}
    own = torch.nn.Linear(trunk.hidden_size, trunk.output.vocabulary, bias=False)
    torch.nn.init.normal_(own.weight, std=0.5)
    found = ids_of(generate(trunk, given, greedy(), own))
    assert found != before
    assert {name: id(p) for name, p in model.named_parameters()} == state
    assert model.get_output_embeddings() is trunk.output.projection
    assert ids_of(generate(trunk, given, greedy())) == before
    with torch.no_grad():
        trunk.output.projection.weight.copy_(own.weight)
    if name == "gpt_neox":  # Not tied: the embeddings are as they were.
        assert ids_of(generate(trunk, given, greedy())) == found


def test_restored_after_an_error(trunk: Trunk) -> None:
    assert trunk.output is not None
    wrong = torch.nn.Linear(trunk.hidden_size + 1, 5)
    trunk.train()
    with pytest.raises(RuntimeError):
        generate(trunk, prompts(trunk), greedy(), wrong)
    assert trunk.output.model.get_output_embeddings() is trunk.output.projection
    assert trunk.output.model.training
    trunk.eval()


def test_training_stays_training_and_nothing_is_dropped(tmp_path: Path) -> None:
    trunk = load_writer(DECODER, tmp_path, attention_dropout=0.5)
    given = prompts(trunk)
    wanted = ids_of(generate(trunk, given, greedy()))
    trunk.train()
    assert ids_of(generate(trunk, given, greedy())) == wanted
    assert trunk.model.training


STORED = {
    "do_sample": True,
    "temperature": 5.0,
    "num_beams": 4,
    "min_length": 30,
    "max_length": 3,
    "forced_eos_token_id": 7,
    "forced_bos_token_id": 9,
    "suppress_tokens": [5, 6, 8],
    "bad_words_ids": [[11], [12]],
    "repetition_penalty": 3.0,
    "no_repeat_ngram_size": 1,
    "num_return_sequences": 2,
    "length_penalty": 4.0,
}


@pytest.mark.parametrize("name", [DECODER, "t5", "bart"])
def test_how_a_model_was_used_before_is_forgotten(tmp_path: Path, name: str) -> None:
    from transformers import GenerationConfig

    plain = load_writer(name, tmp_path)
    given = prompts(plain)
    wanted = ids_of(generate(plain, given, greedy()))
    GenerationConfig(**STORED).save_pretrained(tmp_path / name)
    told = load_trunk(TrunkConfig(name="hf", path=str(tmp_path / name)), writes=True).eval()
    assert ids_of(generate(told, given, greedy())) == wanted


def endless() -> Any:
    """A tokenizer that has no token for the end of a text, nor for padding."""
    return fast(bpe_tokenizer().backend_tokenizer)


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "no end, no padding": endless,
    "no padding": bpe_tokenizer,
    "the separator ends": wordpiece_tokenizer,
    "padding is the end": metaspace_tokenizer,
}


@pytest.mark.parametrize("name", [DECODER, "t5"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_special_tokens_that_are_missing(tmp_path: Path, name: str, tokenizer: str) -> None:
    trunk = load_writer(name, tmp_path, tokenizer=TOKENIZERS[tokenizer])
    given = prompts(trunk)
    if end_id(trunk.tokenizer) is not None:
        prefer_end(trunk)
    wanted = [[likeliest(trunk, p, 20)] for p in given]
    assert ids_of(generate(trunk, given, greedy(20))) == wanted
    assert all(len(w[0]) == 20 for w in wanted) == (end_id(trunk.tokenizer) is None)


def test_without_a_prompt(trunk: Trunk) -> None:
    nothing = np.zeros(0, dtype=np.int32)
    given = [Prompt(p.document, nothing) for p in prompts(trunk)]
    wanted = [[likeliest(trunk, p, LENGTH)] for p in given]
    assert ids_of(generate(trunk, given, greedy())) == wanted


def test_families_that_write() -> None:
    """Every family with an output layer is tested: all but the pure encoders."""
    assert set(FAMILIES) - set(WRITERS) == {"bert", "roberta", "distilbert", "modernbert"}


def test_a_folder_of_a_base_model_writes_too(tmp_path: Path) -> None:
    """Its output layer is missing where it is not tied: it starts at random, and works."""
    path = save_writer(tmp_path / "a", FAMILIES[DECODER](), bpe_tokenizer())
    trunk = load_trunk(TrunkConfig(name="hf", path=str(path), pretrained=False), writes=True).eval()
    check_greedy(trunk)
