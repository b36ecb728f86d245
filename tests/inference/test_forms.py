"""Files are read by `mtl predict` and `mtl evaluate` as a run's own files were read in training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mtl.inference.evaluator import evaluate
from mtl.inference.inputs import File
from mtl.training.description import FilesDescription, read_description
from tests import helpers
from tests.inference.conftest import SENTENCES, Run, check_error
from train import main as train

PLACES = [(text.removesuffix(".") + "in Malmö", label) for text, _, label, _ in SENTENCES]
TASKS = """\
# @package tasks.{name}
type: {type}
"""


def words_file(path: Path, sentences: Sequence[tuple[str, str]], encoding: str = "latin-1") -> Path:
    """Words and labels apart by a vertical bar; comments begin with a percent sign."""
    blocks = []
    for text, tags in sentences:
        lines = [f"{w}|{t}" for w, t in zip(text.split(), tags.split(), strict=True)]
        blocks.append("\n".join([f"% said in Malmö|{len(lines)}", *lines]))
    path.write_bytes(("\n\n".join(blocks) + "\n").encode(encoding))
    return path


def texts_file(path: Path, rows: Sequence[tuple[str, ...]], between: str) -> Path:
    """Rows of cells as they are, without quotation marks around them."""
    path.write_text("".join(between.join(row) + "\n" for row in rows), encoding="utf-8")
    return path


TAGGED = [(text.replace("asked", "Malmö"), tags) for text, tags, _, _ in SENTENCES]
NAMES = [("body", "feeling")]
MARKED = [(f'"{text}" they said', label) for text, label in PLACES]
"""A quotation mark begins the text, and closes inside it."""


@pytest.fixture(scope="module")
def special(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose tasks' files are all written in ways that have to be said."""
    base = tmp_path_factory.mktemp("forms")
    for split, part in (("train", slice(None)), ("dev", slice(3)), ("test", slice(2, None))):
        words_file(base / f"{split}.words", TAGGED[part])
        own = [("body", "gold")] if split == "test" else NAMES
        texts_file(base / f"{split}.csv", [*own, *PLACES[part]], " :: ")
        texts_file(base / f"{split}.tsv", MARKED[part], "\t")
    (base / "conf" / "task").mkdir(parents=True)
    for name, kind in (("places", "token"), ("feeling", "text"), ("quoted", "text")):
        yaml = TASKS.format(name=name, type=f"{kind}_classification")
        (base / "conf" / "task" / f"{name}.yaml").write_text(yaml, encoding="utf-8")
    trunk = helpers.save_tiny(base / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    files = {"places": "words", "feeling": "csv", "quoted": "tsv"}
    splits = {"train": "train", "validation": "dev", "test": "test"}
    code = train(
        [
            "task=places,feeling,quoted",
            f"--config-dir={base / 'conf'}",
            *(
                f"tasks.{n}.data.{s}={base / f}.{e}"
                for n, e in files.items()
                for s, f in splits.items()
            ),
            "tasks.places.data.format=conll",
            "tasks.places.columns={tokens: 0, labels: 1}",
            "tasks.places.data.delimiter=pipe",
            "tasks.places.data.comment='%'",
            "tasks.places.data.encoding=latin-1",
            "tasks.feeling.data.delimiter=' :: '",
            "tasks.feeling.columns={text: body, label: feeling}",
            "tasks.feeling.data.columns.test.label=gold",
            "tasks.quoted.data.quoting=false",
            "tasks.quoted.data.header=false",
            "tasks.quoted.columns={text: 0, label: 1}",
            "trunk=hf",
            f"trunk.path={trunk}",
            "head.lr=0.3",
            "trainer.max_steps=2",
            "trainer.threads=1",
            "trainer.progress=false",
            "logger=none",
            f"hydra.run.dir={base / 'run'}",
        ]
    )
    assert code == 0
    return base / "run"


FILES = {"places": "test.words", "feeling": "test.csv", "quoted": "test.tsv"}
SAID = {
    "places": ["--encoding=latin-1", "--delimiter=pipe, --comment=%"],
    "feeling": ["--delimiter= :: ", "the run's test split: columns.label=gold"],
    "quoted": ["--no-quoting, --no-header"],
}


@pytest.mark.parametrize("task", FILES)
def test_a_file_that_is_written_as_training_s_has_the_scores_of_the_split(
    special: Path, task: str
) -> None:
    file = File(str(special.parent / FILES[task]), "--data")
    found = evaluate(special, [task], file, "cpu")
    assert found.tasks == evaluate(special, [task], "test", "cpu").tasks
    for part in SAID[task]:
        assert any(part in note for note in found.notes), (part, found.notes)


@pytest.mark.parametrize("task", FILES)
def test_texts_to_predict_are_read_as_in_training(
    mtl: Run, special: Path, tmp_path: Path, task: str
) -> None:
    out = tmp_path / "out.jsonl"
    file = special.parent / FILES[task]
    code, _, err = mtl("predict", special, "--task", task, "--input", file, "--output", out)
    assert code == 0, err
    texts = [json.loads(line)["text"] for line in out.read_text("utf-8").splitlines()]
    wanted = {"places": TAGGED, "feeling": PLACES, "quoted": MARKED}[task]
    assert texts == [text for text, *_ in wanted[2:]]
    assert SAID[task][0] in err


def test_what_the_command_says_wins(mtl: Run, special: Path, tmp_path: Path) -> None:
    usual = texts_file(tmp_path / "usual.csv", [*NAMES, *PLACES[:2]], ";")
    wanted = ("predict", special, "--task", "feeling", "--input", usual)
    check_error(mtl(*wanted), "Expected a column 'text'", "apart by ' :: '", "`--delimiter`")
    code, out, _ = mtl(*wanted, "--delimiter", "semicolon")
    assert code == 0
    assert [json.loads(line)["text"] for line in out.splitlines()] == [t for t, _ in PLACES[:2]]


def test_a_file_of_another_format_is_read_as_ever(mtl: Run, special: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({"body": t}) + "\n" for t, _ in PLACES), "utf-8")
    code, out, err = mtl("predict", special, "--task", "feeling", "--input", other)
    assert (code, err) == (0, "")
    assert [json.loads(line)["text"] for line in out.splitlines()] == [t for t, _ in PLACES]


def test_a_file_in_utf_8_is_told_from_one_in_the_encoding_of_training(
    special: Path, tmp_path: Path
) -> None:
    file = words_file(tmp_path / "test.words", TAGGED[2:], "utf-8")
    found = evaluate(special, ["places"], File(str(file), "--data"), "cpu")
    assert found.tasks == evaluate(special, ["places"], "test", "cpu").tasks
    assert not any("--encoding" in note for note in found.notes)


def test_what_was_found_and_not_said_is_tried_first(mtl: Run, run: Path, tmp_path: Path) -> None:
    """A single row with commas and semicolons is in need of what training has shown."""
    kept = json.loads((run / "model" / "mtl.json").read_text("utf-8"))
    found = {"format": "csv", "delimiter": ";"}
    kept["tasks"]["sentiment"]["files"] = FilesDescription(found=found).model_dump()
    kept["tasks"]["sentiment"]["columns"] = {"text": 0, "label": 1}
    (run / "model" / "mtl.json").write_text(json.dumps(kept), "utf-8")
    file = tmp_path / "one.csv"
    file.write_text("Good, really;positive\n", "utf-8")
    code, out, err = mtl("predict", run, "--task", "sentiment", "--input", file)
    assert code == 0, err
    assert json.loads(out)["text"] == "Good, really"
    assert "apart by semicolons" in err


def test_models_without_a_word_on_their_files_load(run: Path) -> None:
    path = run / "model" / "mtl.json"
    kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for task in kept["tasks"].values():
        assert task.pop("files")["found"]["format"] == "jsonl"
    path.write_text(json.dumps(kept), "utf-8")
    about = read_description(run / "model")
    assert all(task.files == FilesDescription() for task in about.tasks.values())


def test_a_folder_for_each_class_is_scored_as_a_whole(mtl: Run, run: Path, tmp_path: Path) -> None:
    for number, (text, label) in enumerate(PLACES):
        (tmp_path / "test" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "test" / label / f"{number}.txt").write_text(text, "utf-8")
    jsonl = tmp_path / "test.jsonl"
    jsonl.write_text("".join(json.dumps({"body": t, "sentiment": x}) + "\n" for t, x in PLACES))
    of_folder = evaluate(run, ["sentiment"], File(str(tmp_path / "test"), "--data"), "cpu")
    of_file = evaluate(run, ["sentiment"], File(str(jsonl), "--data"), "cpu")
    assert of_folder.tasks["sentiment"].scores == of_file.tasks["sentiment"].scores


def test_parallel_files_are_scored_line_by_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "seq.in").write_text("".join(f"{t}\n" for t, *_ in SENTENCES), "utf-8")
    (tmp_path / "seq.out").write_text("".join(f"{t}\n" for _, t, *_ in SENTENCES), "utf-8")
    jsonl = tmp_path / "test.jsonl"
    found = [{"words": t.split(), "ner_tags": x.split()} for t, x, *_ in SENTENCES]
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
    together = evaluate(run, ["ner"], File(str(tmp_path / "seq.in"), "--data"), "cpu")
    alone = evaluate(run, ["ner"], File(str(jsonl), "--data"), "cpu")
    assert together.tasks == alone.tasks
    assert "line by line with the files beside it" in together.notes[0]
