"""Alerts follow Fisher's exact test, and there is one for each rise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from mtl.inference.watch.shares import Alert, Mention, Rule, Watch, plain, tail


@pytest.mark.parametrize(
    ("bad", "of", "earlier_bad", "earlier"),
    [(3, 5, 1, 9), (0, 5, 4, 20), (20, 20, 0, 40), (7, 20, 10, 300), (5, 5, 5, 5), (0, 6, 0, 6)],
)
def test_chance_is_that_of_fishers_exact_test(
    bad: int, of: int, earlier_bad: int, earlier: int
) -> None:
    table = [[bad, of - bad], [earlier_bad, earlier - earlier_bad]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert tail(bad, of, earlier_bad, earlier) == pytest.approx(expected)


def seen(moods: str, rule: Rule, name: str = "Norvik") -> list[Alert]:
    watch = Watch(rule)
    for number, mood in enumerate(moods, start=1):
        watch.see([(name, Mention(number, f"text {number}", mood == "-"))])
    return watch.alerts


def test_an_alert_names_the_text_that_raised_it_and_the_bad_ones_before() -> None:
    [alert] = seen("+" * 20 + "-----", Rule(recent=5, least=5, chance=0.01))
    assert (alert.number, alert.share, alert.before, alert.mentions) == (23, 0.6, 0.0, 23)
    assert alert.texts == ("text 23", "text 22", "text 21")
    assert alert.chance == pytest.approx(
        fisher_exact([[3, 2], [0, 18]], alternative="greater").pvalue
    )


def test_there_is_another_alert_only_after_the_share_has_fallen() -> None:
    rule = Rule(recent=5, least=5, chance=0.01)
    assert len(seen("+" * 40 + "-" * 5, rule)) == 1
    assert len(seen("+" * 40 + "-" * 5 + "+" * 40 + "-" * 5, rule)) == 2


@pytest.mark.parametrize("moods", ["-" * 60, "+" * 60, "+-" * 30, "++++----", ""])
def test_what_is_as_it_was_raises_nothing(moods: str) -> None:
    assert seen(moods, Rule(recent=6, least=5)) == []


def test_names_are_counted_apart_and_once_a_text() -> None:
    watch = Watch(Rule())
    mention = Mention(1, "text", True)
    watch.see([(name, mention) for name in ("Norvik", "norvik's", "Castor  Air")])
    assert {tally.name: tally.mentions for tally in watch.names.values()} == {
        "norvik's": 1,
        "Castor  Air": 1,
    }


@pytest.mark.parametrize("moods", ["+-", "-+"])
def test_a_name_is_bad_in_a_text_if_one_of_its_sentences_is(moods: str) -> None:
    watch = Watch(Rule())
    watch.see([("Norvik", Mention(1, mood, mood == "-")) for mood in moods])
    (tally,) = watch.names.values()
    assert [mention.text for mention in tally.last] == ["-"]


def test_spellings_of_one_name_are_one() -> None:
    assert plain("Pelham  & Roe’s") == plain("pelham & roe")


def test_most_streams_without_a_change_raise_no_alert() -> None:
    draw = np.random.default_rng(3)
    streams = ["".join("-" if bad else "+" for bad in draw.random(200) < 0.3) for _ in range(100)]
    assert sum(bool(seen(stream, Rule())) for stream in streams) <= 5
