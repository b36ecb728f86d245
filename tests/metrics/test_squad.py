import json
import os
from pathlib import Path

import pytest

from mtl.metrics.squad import normalize, score_v1, score_v2, token_f1
from mtl.metrics.squad_corpus import squad_v1, squad_v2

GOLDS = {"a": ["the cat", "cat"], "b": ["in 1999"], "c": [], "d": []}
PREDICTIONS = {"a": "A cat.", "b": "in 1998", "c": "", "d": "wrong"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("The  Cat's\tan apple!", "cats apple"),
        ("an-archy; a", "anarchy"),
        ("U.S.A.", "usa"),
        ("“quoted”", "“quoted”"),
        ("a the an", ""),
    ],
)
def test_normalize(raw: str, expected: str) -> None:
    assert normalize(raw) == expected


def test_one_answer() -> None:
    assert score_v1("in 1998", ["in 1999", "1999"]) == (0.0, 0.5)
    assert token_f1("a b c", "b c d", empty_matches=True) == pytest.approx(0.8)
    assert score_v1("the", ["a"]) == (1.0, 0.0)  # both are empty once normalised
    assert score_v2("the", ["a"]) == (1.0, 1.0)
    assert score_v2("", []) == (1.0, 1.0)
    assert score_v2("x", []) == (0.0, 0.0)


def test_v1_counts_a_missing_prediction_as_wrong() -> None:
    golds = {"a": ["x"], "b": ["y"]}
    assert squad_v1(golds, {"a": "x"}) == {"exact": 50.0, "f1": 50.0, "total": 2}


def test_v2_by_hand() -> None:
    found = squad_v2(GOLDS, PREDICTIONS, {"a": 0.1, "b": 0.6, "c": 0.8, "d": 0.7})
    assert found == pytest.approx(
        {
            "exact": 50.0,
            "f1": 62.5,
            "total": 4,
            "HasAns_exact": 50.0,
            "HasAns_f1": 75.0,
            "HasAns_total": 2,
            "NoAns_exact": 50.0,
            "NoAns_f1": 50.0,
            "NoAns_total": 2,
            "best_exact": 75.0,  # a answered; c and d left without an answer
            "best_exact_thresh": 0.1,
            "best_f1": 87.5,
            "best_f1_thresh": 0.6,
            "pr_exact_ap": 50.0,  # precision 1 at recall 1/2, nothing after
            "pr_f1_ap": 50.0 + 100 * 0.75 * 0.25,
            "pr_oracle_ap": 100.0,
        }
    )


def test_v2_threshold_and_missing_predictions() -> None:
    probs = {"a": 0.1, "b": 0.6, "c": 0.8, "d": 0.7}
    assert squad_v2(GOLDS, PREDICTIONS, probs, threshold=0.5)["exact"] == 75.0
    missing = squad_v2(GOLDS, {"a": "cat"}, probs)
    assert missing["exact"] == 25.0
    assert missing["best_exact"] == 75.0  # above 0.1 all count as unanswered
    assert squad_v2({"c": []}, {"c": ""}, {"c": 0.0}).keys() == {
        *("exact", "f1", "total", "NoAns_exact", "NoAns_f1", "NoAns_total"),
        *("best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"),
    }


@pytest.mark.parametrize("version", ["v1.1", "v2.0"])
def test_conformity_with_the_official_evaluators(version: str) -> None:
    data = Path(os.environ.get("MTL_DATA", ""))
    found = data.parent / "conformity" / f"squad-{version}.json"
    gold = data / "squad" / f"dev-{version}.reconstructed.json"
    if "MTL_DATA" not in os.environ or not (found.is_file() and gold.is_file()):
        pytest.skip("needs $MTL_DATA/squad and $MTL_DATA/../conformity")
    golds = {
        question["id"]: [answer["text"] for answer in question["answers"]]
        for article in json.loads(gold.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }
    given = json.loads(found.read_text(encoding="utf-8"))
    predictions = given["predictions"]
    if version == "v1.1":
        scores = squad_v1(golds, predictions)
    else:
        scores = squad_v2(golds, predictions, given["na_prob"])
    expected = json.loads((found.parent / "expected.json").read_text())[found.name]
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-6)
