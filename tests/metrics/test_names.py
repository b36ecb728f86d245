import pytest

from mtl.errors import ConfigError
from mtl.metrics.names import SCORE, MetricName, metric_name, parse_metric_name


def test_names_and_their_parts() -> None:
    assert metric_name("val", "ner", "f1") == "val/ner/f1"
    assert SCORE == metric_name("val", None, "score") == "val/score"


@pytest.mark.parametrize("task", ["ner", None])
def test_parse_undoes_metric_name(task: str | None) -> None:
    name = metric_name("test", task, "em")
    assert parse_metric_name(name) == MetricName("test", task, "em")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("f1", "Expected `monitor` to be a metric's name"),
        ("val//f1", "Expected `monitor` to be a metric's name"),
        ("val/ner/f1/x", "but got 'val/ner/f1/x'"),
        ("vall/ner/f1", "Did you mean 'val'"),
    ],
)
def test_a_malformed_name_is_one_sentence(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_metric_name(name)


@pytest.mark.parametrize(
    "parts", [("valid", "ner", "f1"), ("val", "a/b", "f1"), ("val", "ner", "")]
)
def test_metric_name_takes_no_nonsense(parts: tuple[str, str, str]) -> None:
    with pytest.raises(AssertionError):
        metric_name(*parts)
