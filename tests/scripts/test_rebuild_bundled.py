"""What is bundled can be rebuilt from its sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.rebuild_bundled import NEWSROOM, TINY, WEIGHTS, command, compare, main


def test_the_corpus_is_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path), "--only", "corpus"]) == 0
    changed = tmp_path / "corpus" / "test.jsonl"
    changed.write_bytes(changed.read_bytes()[:-1])
    assert not compare("corpus", changed.parent)


@pytest.mark.parametrize("part", ["tokenizer", "decoder"])
def test_the_commands_name_files_that_exist(tmp_path: Path, part: str) -> None:
    """Every text of the model card, and a script that takes what it is given."""
    card = (TINY / "README.md").read_text("utf-8")
    line = command(part, tmp_path, tmp_path)
    assert (NEWSROOM.parents[3] / line[0]).is_file()
    for name in WEIGHTS:
        assert any(word.startswith(f"{tmp_path / name}.txt:") for word in line)
    assert "rebuild_bundled.py" in card


def test_a_missing_text_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path)])
    assert "openstax.txt" in capsys.readouterr().err
