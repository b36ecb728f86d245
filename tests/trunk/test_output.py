"""The trunk's output layer against the whole model's own logits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from mtl.errors import ConfigError
from mtl.heads.language import LanguageHead
from mtl.trunk.output import OutputLayer
from tests.helpers import loud, shape
from tests.trunk.families import FAMILIES
from tests.trunk.writers import WRITERS, load_writer

SCALED: dict[str, Callable[[], Any]] = {
    "gemma2": lambda: hf.Gemma2Config(
        **shape(num_key_value_heads=1, head_dim=8), final_logit_softcapping=2.0
    ),
    "gemma3": lambda: hf.Gemma3TextConfig(
        **shape(num_key_value_heads=1, head_dim=8), final_logit_softcapping=3.0
    ),
    "cohere": lambda: hf.CohereConfig(**shape(num_key_value_heads=1), logit_scale=0.25),
    "granite": lambda: hf.GraniteConfig(**shape(num_key_value_heads=1), logits_scaling=7.0),
    "phi": lambda: hf.PhiConfig(**shape()),  # Its output layer has a bias.
    "t5 tied": lambda: FAMILIES["t5"](),
    "t5 untied": lambda: _t5_untied(),
    "bart": lambda: FAMILIES["bart"](),
}


def _t5_untied() -> Any:
    config = FAMILIES["t5"]()
    config.tie_word_embeddings = False
    return config


def model_of(config: Any) -> Any:
    two = config.is_encoder_decoder
    family: Any = hf.AutoModelForSeq2SeqLM if two else hf.AutoModelForCausalLM
    torch.manual_seed(0)
    model = loud(family.from_config(config).eval())
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.normal_()
    return model


def logits_and_states(model: Any) -> tuple[Tensor, Tensor]:
    """Return what the model makes of some tokens, and its last layer's states of them."""
    ids = torch.tensor([[7, 301, 22, 9, 150, 30]])
    given = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = ids.flip(1)
    with torch.no_grad():
        found = model(**given, output_hidden_states=True)
    states = "decoder_hidden_states" if model.config.is_encoder_decoder else "hidden_states"
    return found.logits[0], found[states][-1][0]


@pytest.mark.parametrize("name", SCALED)
def test_equals_the_models_own_logits(name: str) -> None:
    model = model_of(SCALED[name]())
    output = OutputLayer(model)
    logits, states = logits_and_states(model)
    assert output.exact
    assert output.vocabulary == logits.shape[1]
    torch.testing.assert_close(output(states), logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output(states[2:4]), logits[2:4], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SCALED)
def test_other_weights_are_treated_alike(name: str) -> None:
    model = model_of(SCALED[name]())
    output, own = OutputLayer(model), nn.Linear(16, 400, bias=False)
    _, states = logits_and_states(model)
    found = output(states, own)
    model.set_output_embeddings(own)
    wanted, _ = logits_and_states(model)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", WRITERS)
def test_every_family_is_understood(tmp_path: Path, name: str) -> None:
    trunk = load_writer(name, tmp_path)
    assert trunk.output is not None
    assert trunk.output.exact


def test_the_model_stays_in_its_mode() -> None:
    model = model_of(SCALED["granite"]())
    for mode in (True, False):
        OutputLayer(model.train(mode))
        assert model.training is mode


class Odd(hf.LlamaForCausalLM):
    """A model that does with its logits what no other does."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        found = super().forward(*args, **kwargs)
        found.logits = found.logits * 1.5 + 0.1
        return found


class Broken(hf.LlamaForCausalLM):
    """A model that cannot be called as others can."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("forward() wants pictures")


@pytest.mark.parametrize("kind", [Odd, Broken])
def test_an_unknown_transformation_is_found(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    model = kind(hf.LlamaConfig(**shape(num_key_value_heads=1))).eval()
    output = OutputLayer(loud(model))
    assert not output.exact
    with pytest.raises(ConfigError, match=r"task 'gist' needs, but this one does not"):
        LanguageHead(16, task="gist").attach(output)
