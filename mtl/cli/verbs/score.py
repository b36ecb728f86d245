"""``mtl score``: official scores of files of predictions, without a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtl.cli.options import AsJson

if TYPE_CHECKING:
    from mtl.config.section import Values

Language = Annotated[
    str,
    typer.Option(
        metavar="CODE",
        help="Of the texts: zh, ja, th and the like are compared by character; auto looks. Or the "
        "name of a tokenizer, such as ja-mecab.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add ``mtl score`` and its commands."""
    group = typer.Typer(
        help="Score a file of predictions as the official scripts do, without a model.",
        no_args_is_help=True,
    )
    group.command("token_classification")(token_classification)
    group.command("span_extraction")(span_extraction)
    group.command("generation")(generation)
    app.add_typer(group, name="score")


def token_classification(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Columns; the last two are the gold and the predicted label."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Entity scores equal to conlleval's, and the report of each label.

    A blank line ends a sentence. In the JSON, accuracy, precision, recall, f1 and types are in
    percent, as conlleval prints them; labels is on 0 to 1, as scikit-learn's report is.
    """
    from mtl.inference.score import score_tagging

    score = score_tagging(file)
    if as_json:
        _print_json(score.as_dict())
        return
    from mtl.reporting.tables import entity_table, label_table

    size = f"{score.tokens:,} tokens in {score.sentences:,} sentences"
    console = _console()
    console.print(label_table(score.labels, f"Labels: {size}"))
    if score.entities:
        console.print()
        accuracy = f"token accuracy {100 * score.accuracy:.2f}"
        console.print(entity_table(score.entities, f"Entities, in percent; {accuracy}"))


def span_extraction(
    gold: Annotated[Path, typer.Argument(metavar="GOLD", help="SQuAD JSON, version 1.1 or 2.0.")],
    pred: Annotated[
        Path, typer.Argument(metavar="PRED", help="JSON object from question id to answer.")
    ],
    na_prob: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON object from question id to the probability of no answer (2.0).",
        ),
    ] = None,
    language: Language = "auto",
    as_json: AsJson = False,
) -> None:
    """Exact match and F1 as SQuAD's official evaluators give them, on 0 to 100.

    A question without a prediction counts as wrong. Where right answers are in a script without
    spaces between words, characters are counted in place of words.
    """
    from mtl.inference.score import score_spans

    _show(score_spans(gold, pred, na_prob, language), "SQuAD, 0 to 100", "questions", as_json)


def generation(
    gold: Annotated[
        Path, typer.Argument(metavar="GOLD", help='JSONL: {"id", "text" or "references": […]}.')
    ],
    pred: Annotated[Path, typer.Argument(metavar="PRED", help='JSONL: {"id", "text"}.')],
    scoring: Annotated[str, typer.Option(metavar="NAME", help="rouge, bleu or answers.")] = "rouge",
    language: Language = "auto",
    as_json: AsJson = False,
) -> None:
    """Written texts beside right ones; the best of several, and a missing text is an empty one.

    ROUGE F1 as rouge-score gives it (with stemming, on 0 to 1), BLEU and chrF as sacreBLEU does,
    or exact match and F1 as SQuAD's evaluator does (on 0 to 100). Where right texts are in a script
    without spaces between words, characters are counted in place of words.
    """
    from mtl.inference.score import score_texts

    scale = "0 to 1" if scoring == "rouge" else "0 to 100"
    _show(score_texts(gold, pred, scoring, language), f"{scoring}, {scale}", "texts", as_json)


def _show(scores: dict[str, float], title: str, what: str, as_json: bool) -> None:
    """Print scores, and a warning for what had no prediction."""
    if scores["missing"]:
        counts = f"{scores['missing']:,} of {scores['total']:,} {what}"
        sys.stderr.write(f"warning: {counts} have no prediction and count as wrong.\n")
    if as_json:
        _print_json(scores)
        return
    from mtl.metrics.tables import ValueRow
    from mtl.reporting.tables import value_table

    _console().print(value_table([ValueRow(*item) for item in scores.items()], title))


def _print_json(value: Values) -> None:
    """Print one JSON object, unrounded."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def _console() -> Any:
    """Return a console on standard output."""
    from rich.console import Console

    return Console()
