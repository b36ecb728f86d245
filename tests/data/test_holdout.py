"""The cut into training and validation: one choice of texts for all tasks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import DataConfig
from mtl.data.holdout import Cut, Fold, _mix, hold_out, parse_fold, sample, text_keys
from mtl.data.readers.table import make_rows
from mtl.data.rows import Role, Rows
from mtl.data.sources import Splits, Wanted, load_splits
from mtl.errors import ConfigError, DataError

from .roles import CLASSES, CONLL, NAMED, NER, write

GROUPED = (*CLASSES, Role("group", "label"))


def rows(values: Sequence[dict[str, Any]], roles: Sequence[Role] = CLASSES) -> Rows:
    about = [{"_file": "a", "_line": n, "_id": str(n)} for n in range(len(values))]
    return make_rows([{**v, **a} for v, a in zip(values, about, strict=True)], roles)


def labelled(labels: Sequence[object]) -> Rows:
    return rows([{"text": f"text {n}", "label": str(label)} for n, label in enumerate(labels)])


def held(found: Rows, seed: int = 1, part: float | Fold = 0.1) -> list[bool]:
    return list(hold_out({"x": Cut(found, CLASSES, part)}, seed)["x"])


LABELS = st.lists(st.sampled_from("aaaabbbcd"), min_size=2, max_size=80)


@given(LABELS, st.floats(0.05, 0.6), st.integers(0, 2**70))
def test_every_label_stays_in_training(labels: list[str], share: float, seed: int) -> None:
    counts = Counter(labels)
    validates = held(labelled(labels), seed, share)
    assert any(validates)
    assert not all(validates)
    if max(counts.values()) < 2:
        return
    assert {n for n, v in zip(labels, validates, strict=True) if not v} == set(labels)
    cut = Counter(n for n, v in zip(labels, validates, strict=True) if v)
    for label, count in counts.items():
        # Rows in equal steps: one more or less at either end of a label's own run.
        assert cut[label] <= count * share + 2
        assert cut[label] >= count * share - 2 - (count == 1)
    assert validates == held(labelled(labels), seed, share)


def test_the_seed_chooses() -> None:
    found = labelled("ab" * 50)
    assert len({tuple(held(found, seed)) for seed in range(8)}) == 8


@given(LABELS, st.integers(2, 5), st.integers(0, 99))
def test_folds_validate_each_row_once(labels: list[str], count: int, seed: int) -> None:
    if min(Counter(labels).values()) <= count:
        labels = labels + [label for label in set(labels) for _ in range(count)]
    found = labelled(labels)
    parts = [held(found, seed, Fold(n + 1, count)) for n in range(count)]
    assert np.array_equal(np.sum(parts, axis=0), np.ones(len(labels)))


@pytest.mark.parametrize("text", ["", "2", "0/5", "6/5", "1/1", "a/b", "2/5/7", "-1/5"])
def test_what_is_no_fold(text: str) -> None:
    with pytest.raises(ConfigError, match=r"`tasks\.x\.data\.fold` to be a fold such as 2/5"):
        parse_fold(text, "tasks.x.data.fold")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40))
def test_a_group_and_its_texts_stay_together(pairs: list[tuple[int, int]]) -> None:
    """Rows are nodes, an equal text or group an edge: a component is never cut."""
    values = [{"text": f"t{t}", "label": "a", "group": str(g)} for t, g in pairs]
    found = rows(values, GROUPED)
    validates = list(hold_out({"x": Cut(found, GROUPED, 0.3)}, 1)["x"])
    component = list(range(len(pairs)))
    for _ in pairs:
        for i, one in enumerate(pairs):
            for j, other in enumerate(pairs):
                if one[0] == other[0] or one[1] == other[1]:
                    component[i] = component[j] = min(component[i], component[j])
    assert any(validates)
    assert not all(validates)
    if len(set(component)) > 1:
        sides = {(c, v) for c, v in zip(component, validates, strict=True)}
        assert len(sides) == len(set(component))


@given(st.lists(st.sampled_from("abc"), min_size=4, max_size=40), st.integers(0, 9))
def test_tasks_cut_the_same_texts(labels: list[str], seed: int) -> None:
    """One has texts, one the words of some of them in another order, and another share."""
    texts = [f"Text {n} ,  so  {n * 7}" for n in range(len(labels))]
    one = rows([{"text": t, "label": n} for t, n in zip(texts, labels, strict=True)])
    some = list(reversed(texts))[: max(2, len(texts) // 2)]
    words = [{"tokens": t.split(), "labels": ["O"] * len(t.split())} for t in some]
    other = rows(words, NER)
    if max(Counter(labels).values()) < 2:
        return
    cut = hold_out({"a": Cut(one, CLASSES, 0.2), "b": Cut(other, NER, 0.4)}, seed)
    first = {t for t, v in zip(texts, cut["a"], strict=True) if v}
    second = {t for t, v in zip(some, cut["b"], strict=True) if v}
    assert first & set(some) == second
    assert second


def test_rows_without_a_text_are_of_no_text() -> None:
    roles = [Role("label", "label", target=True)]
    keys = [text_keys(rows([{"label": "a"}] * 3, roles), name) for name in ("x", "y")]
    assert len(set(np.concatenate(keys).tolist())) == 6


def test_the_draw_is_splitmix() -> None:
    """SplitMix64's first outputs for the seed 1234567, as its author published them."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    golden = 0x9E3779B97F4A7C15
    state = [np.asarray([(1234567 + (n + 1) * golden) % 2**64], dtype=np.uint64) for n in range(3)]
    assert [int(_mix(s, 0)[0]) for s in state] == published


@given(LABELS, st.integers(1, 60), st.integers(0, 9))
def test_a_sample_has_all_labels(labels: list[str], count: int, seed: int) -> None:
    found = labelled(labels)
    chosen = sample({"x": found}, {"x": CLASSES}, {"x": count}, seed)["x"]
    assert len(chosen) == min(count, len(labels))
    texts = list(chosen.column("text"))
    assert sorted(texts, key=lambda t: int(t.split()[1])) == texts
    kept = Counter(chosen.column("label"))
    if count >= len(set(labels)):
        assert set(kept) == set(labels)
    for label, total in Counter(labels).items():
        assert kept[label] <= count * total / len(labels) + 2


def test_samples_of_tasks_share_their_texts() -> None:
    texts = [f"t{n}" for n in range(60)]
    one = rows([{"text": t, "label": str(n % 3)} for n, t in enumerate(texts)])
    other = rows([{"text": t, "label": str(n % 2)} for n, t in enumerate(reversed(texts))])
    roles = dict.fromkeys("ab", CLASSES)
    found = sample({"a": one, "b": other}, roles, {"a": 20, "b": 20}, 3)
    kept = [set(part.column("text")) for part in found.values()]
    assert [len(k) for k in kept] == [20, 20]
    assert len(kept[0] & kept[1]) >= 17


def load(tmp_path: Path, **files: Any) -> dict[str, Splits]:
    wanted = {}
    for name, (columns, roles, data) in files.items():
        given = {k: str(write(tmp_path / f"{name}-{k}.jsonl", v)) for k, v in data.items()}
        wanted[name] = Wanted(DataConfig(**given), columns, roles)
    return load_splits(wanted, 1)


TEXTS = "".join(f'{{"text": "It is {n}.", "label": "{n % 2}"}}\n' for n in range(20))
WORDS = "".join(
    f'{{"tokens": ["It", "is", "{n}", "."], "labels": ["O", "O", "B-N", "O"]}}\n'
    for n in range(10, 40)
)
WORD_COLUMNS = {"tokens": "tokens", "labels": "labels"}


def test_what_one_task_validates_on_trains_no_other(tmp_path: Path) -> None:
    part = "".join(TEXTS.splitlines(keepends=True)[12:16])
    found = load(
        tmp_path,
        a=(NAMED, CLASSES, {"train": TEXTS, "test": part}),
        b=(WORD_COLUMNS, NER, {"train": WORDS, "validation": WORDS}),
    )
    trained = {"".join(row["tokens"]) for row in found["b"].train or ()}
    assert trained == {f"Itis{n}." for n in range(10, 40)}  # Its own files say so.
    left = {row["text"] for part in (found["a"].train, found["a"].validation) for row in part or ()}
    assert left == {f"It is {n}." for n in (*range(10), *range(12, 16))}
    assert any(
        "4 of 20 training rows have a text that validation or test has too" in line
        for line in found["a"].notes
    )
    assert any(
        "6 of 20 training rows are left out: task b validates or tests" in line
        for line in found["a"].notes
    )


def test_a_task_without_texts_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`tasks\.a\.data` to have training texts of its own"):
        load(
            tmp_path,
            a=(NAMED, CLASSES, {"train": TEXTS, "validation": TEXTS.replace("is", "was")}),
            b=(NAMED, CLASSES, {"train": TEXTS.replace("is", "be"), "validation": TEXTS}),
        )


def test_group_and_fold(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "text,label,author\n" + "".join(f"text {n},{n % 2},{n // 4}\n" for n in range(40)),
    )
    for fold in ("1/3", "2/3"):
        data = DataConfig(train=str(path), group="author", fold=fold)
        splits = load_splits({"x": Wanted(data, NAMED, CLASSES)}, 1)["x"]
        authors = [set(part.column("group")) for part in (splits.train, splits.validation) if part]
        assert not authors[0] & authors[1]
        assert len(authors[0]) + len(authors[1]) == 10
        assert f"(fold={fold}, seed=1;" in splits.notes[-1]


def test_rows_of_a_query_stay_together(tmp_path: Path) -> None:
    """Without `data.group`, which wins where it is set."""
    lines = "".join(f"text {n},{n % 2},q{n // 4},{n % 5}\n" for n in range(40))
    path = write(tmp_path / "a.csv", f"text,label,query,author\n{lines}")
    roles = (*CLASSES, Role("query", "label", required=False, together=True))
    columns = {**NAMED, "query": "query"}
    for group, column in ((None, "query"), ("author", "group")):
        data = DataConfig(train=str(path), validation_fraction=0.3, group=group)
        splits = load_splits({"x": Wanted(data, columns, roles)}, 1)["x"]
        assert splits.train is not None
        assert splits.validation is not None
        parts = [set(part.column(column)) for part in (splits.train, splits.validation)]
        assert not parts[0] & parts[1]
        assert len(parts[0] | parts[1]) == (10 if group is None else 5)


def test_fold_with_a_validation_file(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.csv", "text,label\na,1\nb,1\n"))
    data = DataConfig(train=path, validation=path, fold="1/2")
    with pytest.raises(ConfigError, match=r"`tasks\.x\.data\.validation` to be unset, because"):
        load_splits({"x": Wanted(data, NAMED, CLASSES)}, 1)


def test_conll_sentences_are_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "".join(f"w{n} B-T\n\n" for n in range(20)))
    data = DataConfig(train=str(path))
    splits = load_splits({"x": Wanted(data, CONLL, NER)}, 1)["x"]
    assert splits.validation is not None
    assert len(splits.validation) == 2
