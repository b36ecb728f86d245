"""A key with one wrong character is refused and named, wherever it stands."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from mtl.config.compose import check_composed, compose_checked
from mtl.config.keys import dotted_keys
from mtl.errors import ConfigError
from tests.config.conftest import CONF, compose
from tests.config.fakes import TASK_TYPES
from tests.properties import max_examples

KNOWN = set(dotted_keys(names=("ner", "sentiment")))
OPEN = (".columns", ".head", ".options", ".use")
LEAVES = sorted(
    key
    for key in KNOWN
    if not any(other.startswith(f"{key}.") for other in KNOWN) and not key.endswith(OPEN)
)
LETTERS = st.sampled_from("abcdefghijklmnopqrstuvwxyz_0")


@st.composite
def misspellings(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a known key and the same with one edit."""
    key = draw(st.sampled_from(LEAVES))
    at = draw(st.integers(0, len(key) - 1))
    letter = draw(LETTERS)
    wrong = draw(
        st.sampled_from(
            [
                key[:at] + key[at + 1 :],
                key[:at] + letter + key[at:],
                key[:at] + letter + key[at + 1 :],
                key[:at] + key[at : at + 2][::-1] + key[at + 2 :],
            ]
        )
    )
    assume(wrong not in KNOWN and all(wrong.split(".")))
    return key, wrong


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    return compose_checked([], [CONF], task_types=TASK_TYPES).cfg


def named(wrong: str, messages: list[str]) -> bool:
    """Whether a message has the wrong key, or the part of it that is wrong."""
    parts = wrong.split(".")
    prefixes = {".".join(parts[: i + 1]) for i in range(len(parts))} - KNOWN
    return any(
        f"`{prefix}`" in text or f"'{prefix}'" in text for prefix in prefixes for text in messages
    )


@given(misspellings())
@max_examples(100)
def test_in_a_composed_tree(composed: DictConfig, pair: tuple[str, str]) -> None:
    _, wrong = pair
    cfg = composed.copy()
    OmegaConf.update(cfg, wrong, 1, force_add=True)
    _, problems = check_composed(cfg, TASK_TYPES, ("ner", "sentiment"))
    assert named(wrong, [str(problem) for problem in problems]), (wrong, problems)


@given(misspellings(), st.sampled_from(["", "+", "++"]))
@max_examples(15)
def test_on_the_command_line(pair: tuple[str, str], prefix: str) -> None:
    key, wrong = pair
    with pytest.raises(ConfigError) as error:
        compose(f"{prefix}{wrong}=1")
    message = str(error.value)
    told = [f"'{part}'" for part in wrong.split(".")[1:2]]
    assert named(wrong, [message]) or any(text in message for text in told)
    assert "Did you mean" in message or key.split(".")[-1] in message


@pytest.mark.parametrize("prefix", ["", "+", "++", "~"])
def test_a_digit_at_the_start_has_its_nearest_name_too(prefix: str) -> None:
    """Hydra's grammar knows no key that begins with a digit."""
    with pytest.raises(ConfigError, match=r"`trunk.0ttention` .* mean `trunk.attention`\?$"):
        compose(f"{prefix}trunk.0ttention=causal")
    with pytest.raises(ConfigError, match=r"`0eed` .* mean `seed`\?$"):
        compose(f"{prefix}0eed=1")
