import pytest

from mtl.config.overrides import join_tasks
from mtl.errors import ConfigError

KNOWN = ["ner", "sentiment"]


def join(text: str, multirun: bool = False) -> str:
    return join_tasks([text], multirun, KNOWN)[0]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("task=ner,sentiment", "task=[ner,sentiment]"),
        ("task=[ner,sentiment]", "task=[ner,sentiment]"),
        ("task='ner, sentiment'", "task=[ner,sentiment]"),
        ("task=ner", "task=ner"),
        ("task=[ner]", "task=[ner]"),
        ("trunk=a,b", "trunk=a,b"),
        ("tasks.ner.weight=2", "tasks.ner.weight=2"),
    ],
)
def test_commas_join_tasks(typed: str, meant: str) -> None:
    assert join(typed) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("task=ner,sentiment", "task=ner,sentiment"),
        ("task=[ner,sentiment],[ner]", "task=[ner,sentiment],[ner]"),
        ("task=[ner,sentiment]", "task=[ner,sentiment]"),
        ("task=choice(ner,sentiment)", "task=choice(ner,sentiment)"),
    ],
)
def test_a_sweep_keeps_them_apart(typed: str, meant: str) -> None:
    assert join(typed, multirun=True) == meant


@pytest.mark.parametrize("multirun", [False, True])
@pytest.mark.parametrize("typed", ["task=", "task= ", "task=[]", "task=''", "task=null"])
def test_no_task_is_one_sentence(typed: str, multirun: bool) -> None:
    with pytest.raises(ConfigError, match=r"one of \{ner, sentiment\}, but got nothing. Write"):
        join(typed, multirun)


@pytest.mark.parametrize("typed", ["task=ner,", "task=,ner", "task=[ner,]", "task=ner,,sentiment"])
def test_an_empty_name_is_one_sentence(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"an empty name in '.*'. Write task=ner"):
        join(typed)


def test_a_task_is_named_once() -> None:
    with pytest.raises(ConfigError, match="each task once, but got 'ner' twice"):
        join("task=ner,sentiment,ner")


def test_a_dot_divides_keys_and_no_name() -> None:
    with pytest.raises(ConfigError, match=r"names without a dot.* got 'my\.task'.*task=my_task"):
        join("task=my.task")
    assert join("task=${oc.env:TASK}") == "task=${oc.env:TASK}"
