"""Folders and names to trunks, and what is said when that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from mtl.config.schema import TrunkConfig
from mtl.config.section import read
from mtl.errors import ConfigError
from mtl.trunk.load import architecture_of, document_limit, load_trunk
from tests.helpers import llama_config, save_tiny, shape, tiny_model
from tests.trunk.alone import assert_same_gradients, gradients
from tests.trunk.conftest import Load
from tests.trunk.families import DECODERS, ENCODERS
from tests.trunk.test_packed import branching_rows, run


@pytest.fixture
def folder(tmp_path: Path, tokenizers: dict[str, Any]) -> Path:
    return save_tiny(tmp_path / "llama", llama_config(), tokenizers["bpe"])


def test_weights_are_the_folders_own(folder: Path) -> None:
    found = load_trunk(TrunkConfig(name="hf", path=str(folder))).model.state_dict()
    wanted = tiny_model(llama_config()).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[k], wanted[k]) for k in wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_float32_whatever_the_file_holds(
    folder: Path, dtype: torch.dtype, tokenizers: dict[str, Any]
) -> None:
    tiny_model(llama_config()).to(dtype).save_pretrained(folder)
    assert hf.AutoModel.from_pretrained(folder).dtype == dtype, "transformers keeps the type"
    for pretrained in (True, False):
        trunk = load_trunk(TrunkConfig(name="hf", path=str(folder), pretrained=pretrained))
        assert {p.dtype for p in trunk.parameters()} == {torch.float32}
        assert trunk.dtype == torch.float32


def test_a_random_start_keeps_the_shape(folder: Path) -> None:
    found = load_trunk(
        TrunkConfig(name="hf", path=str(folder), pretrained=False)
    ).model.state_dict()
    wanted = tiny_model(llama_config()).state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in wanted.items()}
    name = "layers.0.mlp.gate_proj.weight"
    assert not torch.equal(found[name], wanted[name])


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        (DECODERS["gpt2"], ["attn_pdrop", "embd_pdrop", "resid_pdrop"]),
        (ENCODERS["bert"], ["hidden_dropout_prob", "attention_probs_dropout_prob"]),
        (llama_config, ["attention_dropout"]),
    ],
)
def test_dropout_overrides_every_rate(
    config: Any, keys: list[str], tmp_path: Path, tokenizers: dict[str, Any]
) -> None:
    save_tiny(tmp_path, config(), tokenizers["bpe"])
    found = load_trunk(TrunkConfig(name="hf", path=str(tmp_path), dropout=0.25))
    assert [getattr(found.config, k) for k in keys] == [0.25] * len(keys)
    rates = {m.p for m in found.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates <= {0.25}


def test_no_parameter_is_without_use(load: Load) -> None:
    """BERT's pooler feeds no head, and a parameter without gradient ends a DDP run."""
    for name in ("bert", "roberta", "llama"):
        assert not [n for n, _ in load(name).named_parameters() if "pooler" in n]


def test_gradient_checkpointing_runs_layers_twice_and_changes_no_gradient(folder: Path) -> None:
    found, runs = [], []
    for checkpointing in (False, True):
        trunk = load_trunk(
            TrunkConfig(name="hf", path=str(folder), gradient_checkpointing=checkpointing)
        ).train()
        count: list[int] = []
        trunk.model.layers[0].mlp.register_forward_pre_hook(lambda *_, n=count: n.append(1))
        found.append(gradients(trunk.model, run(trunk, branching_rows())))
        runs.append(len(count))
    assert runs == [1, 2]
    assert_same_gradients(found[1], found[0])


def test_a_model_without_gradient_checkpointing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf.LlamaModel, "supports_gradient_checkpointing", False)
    message = fails("hf", folder, gradient_checkpointing=True)
    assert message.startswith("Expected `trunk.gradient_checkpointing` to be false")


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (hf.LlamaConfig(), "decoder"),
        (hf.Gemma3TextConfig(), "decoder"),
        (hf.BertConfig(), "encoder"),
        (hf.BertConfig(is_decoder=True), "decoder"),
        (hf.ModernBertConfig(), "encoder"),
        (hf.DistilBertConfig(), "encoder"),
        (hf.T5Config(), "encoder-decoder"),
        (hf.BartConfig(), "encoder-decoder"),
    ],
)
def test_kinds(config: Any, kind: str) -> None:
    assert architecture_of(config) == kind


@pytest.mark.parametrize(("family", "limit"), [("llama", 64), ("gpt2", 64), ("roberta", 64)])
def test_max_length_is_bounded_by_the_positions(load: Load, family: str, limit: int) -> None:
    trunk = load(family)
    assert document_limit(trunk, None) == limit
    assert document_limit(trunk, limit) == limit
    message = rf"Expected `trunk.max_length` to be at most {limit}, .* but got {limit + 1}\."
    with pytest.raises(ConfigError, match=message):
        document_limit(trunk, limit + 1)


def test_max_length_defaults_to_512_where_more_would_fit(
    tmp_path: Path, tokenizers: dict[str, Any]
) -> None:
    config = hf.LlamaConfig(**shape(max_position_embeddings=2048))
    trunk = load_trunk(
        TrunkConfig(name="hf", path=str(save_tiny(tmp_path, config, tokenizers["bpe"])))
    )
    assert document_limit(trunk, None) == 512
    assert document_limit(trunk, 2000) == 2000


def test_max_length_is_free_where_positions_are_relative(load: Load) -> None:
    assert document_limit(load("t5"), None) == 512
    assert document_limit(load("t5"), 3000) == 3000


def fails(name: str, path: str | Path | None, **options: Any) -> str:
    given = {"name": name, "path": None if path is None else str(path), **options}
    with pytest.raises(ConfigError) as caught:
        load_trunk(read(TrunkConfig, given, "trunk"))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_unknown_trunk() -> None:
    message = fails("tinny", None)
    assert message.startswith("Expected `trunk.name` to be one of {hf, tiny}")
    assert message.endswith("but got 'tinny'. Did you mean 'tiny'?")


def test_no_path() -> None:
    message = fails("hf", None)
    assert "`trunk.path`" in message
    assert "not set" in message


def test_an_unknown_direction(folder: Path) -> None:
    message = fails("hf", folder, attention="both")
    assert message == (
        "Expected `trunk.attention` to be one of {bidirectional, causal}, but got 'both'."
    )


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    message = fails("hf", tmp_path)
    assert message.startswith("Expected `trunk.path` to be a folder with a Hugging Face model")
    assert f"'{tmp_path}' cannot be loaded" in message


def test_a_name_that_is_neither_folder_nor_on_the_hub(tmp_path: Path) -> None:
    message = fails("hf", tmp_path / "nowhere")
    assert "to be a model on the Hugging Face Hub or a folder" in message
    assert str(tmp_path / "nowhere") in message


def test_a_folder_with_a_configuration_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert f"'{folder}' cannot be loaded" in fails("hf", folder)


def test_a_truncated_weights_file(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert f"'{folder}' cannot be loaded" in fails("hf", folder)


def test_a_configuration_that_is_not_json(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")
    assert f"'{folder}' cannot be loaded" in fails("hf", folder)


def test_an_architecture_that_transformers_does_not_know(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["model_type"] = "lama"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert f"'{folder}' cannot be loaded" in fails("hf", folder)


def test_a_folder_without_a_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert str(folder) in fails("hf", folder)


def test_weights_of_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["hidden_size"] = 32
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    message = fails("hf", folder)
    assert f"'{folder}' cannot be loaded: its weight " in message
    assert message.endswith(" has shape (400, 16), but its config.json asks for (400, 32).")


def test_a_tokenizer_of_another_model(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = 100
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "pieces and the model has 100" in fails("hf", folder, pretrained=False)


def test_a_shape_that_cannot_be(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["num_attention_heads"] = 5
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "not a multiple of the number of attention heads" in fails("hf", folder)


def test_a_tokenizer_that_is_not_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("[1", encoding="utf-8")
    assert f"'{folder}' cannot be loaded" in fails("hf", folder)


def test_layers_without_weights_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    load_trunk(TrunkConfig(name="hf", path=str(folder)))
    told = "has no weights for layers.2.input_layernorm.weight and 8 more: they start at random"
    assert told in caplog.text


def test_a_checkpoint_without_pooler_is_whole(
    tmp_path: Path, tokenizers: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny_model(ENCODERS["bert"]())
    model.pooler = None
    model.save_pretrained(tmp_path)
    tokenizers["wordpiece"].save_pretrained(tmp_path)
    load_trunk(TrunkConfig(name="hf", path=str(tmp_path)))
    assert "random" not in caplog.text


def test_a_pickle_is_not_opened(folder: Path) -> None:
    """Weights that could run code are refused, not loaded."""
    (folder / "model.safetensors").unlink()
    torch.save(tiny_model(llama_config()).state_dict(), folder / "pytorch_model.bin")
    assert f"'{folder}' cannot be loaded" in fails("hf", folder)
