"""How much of each task enters an epoch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import MixingConfig
from mtl.data.mixing import MIXERS

SIZES = st.dictionaries(
    st.sampled_from(["ner", "sentiment", "qa", "topic"]), st.integers(0, 10**6), min_size=1
)


@given(SIZES, st.floats(1, 100))
def test_proportional_is_every_example_once(sizes: dict[str, int], temperature: float) -> None:
    assert MIXERS.get("proportional")(MixingConfig(temperature=temperature))(sizes) == sizes


@given(SIZES)
def test_uniform_is_the_same_for_all(sizes: dict[str, int]) -> None:
    quota = MIXERS.get("uniform")(MixingConfig())(sizes)
    filled = [quota[t] for t in sizes if sizes[t]]
    assert all(quota[t] == 0 for t in sizes if not sizes[t])
    assert len(set(filled)) <= 1
    assert abs(sum(filled) - sum(sizes.values())) <= len(sizes)


def test_temperature_by_hand() -> None:
    """Square roots 10 and 30: a quarter and three quarters of 1,000."""
    assert MIXERS.get("temperature")(MixingConfig(temperature=2))({"a": 100, "b": 900}) == {
        "a": 250,
        "b": 750,
    }


@given(SIZES)
def test_temperature_one_is_proportional(sizes: dict[str, int]) -> None:
    assert MIXERS.get("temperature")(MixingConfig(temperature=1))(sizes) == sizes


@given(st.integers(1, 10**4), st.integers(1, 10**4), st.floats(1, 20))
def test_temperature_lies_between_proportional_and_uniform(
    small: int, more: int, temperature: float
) -> None:
    sizes = {"small": small, "large": small + more}
    quota = MIXERS.get("temperature")(MixingConfig(temperature=temperature))(sizes)
    assert small - 1 <= quota["small"] <= (2 * small + more) / 2 + 1
    assert abs(sum(quota.values()) - sum(sizes.values())) <= 1


@pytest.mark.parametrize("name", ["proportional", "uniform", "temperature"])
def test_no_task_with_examples_is_left_out(name: str) -> None:
    quota = MIXERS.get(name)(MixingConfig(temperature=1.0))({"tiny": 1, "huge": 10**7, "none": 0})
    assert quota["tiny"] >= 1
    assert quota["none"] == 0
