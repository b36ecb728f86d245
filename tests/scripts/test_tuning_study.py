"""The picture of AdaLoRA's ranks."""

from __future__ import annotations

from xml.etree import ElementTree

from scripts.quality.tuning import picture, table


def test_ranks_as_a_picture() -> None:
    ranks = {f"encoder.layer.{n}.{k}": 2 * n for n in range(3) for k in ("query", "a.<b>")}
    drawn = ElementTree.fromstring(picture(ranks, 4))
    texts = [t.text for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["0", "1", "2", "query", "0", "2", "4", "a.<b>", "0", "2", "4"]


def test_a_line_for_each_method() -> None:
    one = {"test/ner/f1": 0.5, "test/sentiment/accuracy": 0.75, "learning": 1234}
    found = table({"lora": [{**one, "memory_gb": 1.0, "cpu_seconds": 9.6}] * 2})
    assert found.splitlines()[-1] == (
        "| lora | 50.00 (50.0, 50.0) | 75.00 (75.0, 75.0) | 1,234 | 1.00 | 10 |"
    )
