"""Rated sentences as rows of splits: no article in two, no text twice."""

from __future__ import annotations

from pathlib import Path

from scripts.quality.recipes import rated, split


def test_ratings_become_moods_and_articles_stay_together(tmp_path: Path) -> None:
    moods = {-0.5: "negative", -0.49: "neutral", 0.49: "neutral", 0.5: "positive"}
    lines = [
        f"{article}_{number}\t{rating}\tText {article} {number}."
        for article in range(10)
        for number, rating in enumerate(moods)
    ]
    lines += ["3_9\t0.1\tText 4 0.", ""]
    file = tmp_path / "rated.txt"
    file.write_text("\r\n".join(lines), encoding="utf-8")
    rows = rated(file)
    assert [row["label"] for _, row in rows[:4]] == list(moods.values())
    found = split(rows)
    of = {row["text"]: name for name, part in found.items() for row in part}
    assert len(of) == sum(map(len, found.values())) == 40
    assert list(found) == ["train", "validation", "test"]
    places = [{of[f"Text {a} {n}."] for n in range(4)} for a in range(10) if a != 4]
    assert all(len(place) == 1 for place in places)
