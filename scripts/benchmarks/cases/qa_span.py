"""Answers a second in training on SQuAD, found in the paragraph, 16 a step.

The questions of a paragraph are branches of one encoding of it, or each has the paragraph to
itself (`batching.max_branches=1`); trunk, head and questions are the same.
"""

from __future__ import annotations

from scripts.benchmarks.cases.qa_generative import ANSWERS, line
from scripts.benchmarks.ours import SKIPPED, Training, norm
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings


def prepare(settings: Settings) -> Prepared:
    """Build both sides."""
    steps = settings.pick(9, 3)
    given = [
        *line(settings, "qa", steps * ANSWERS),
        "tasks.qa.columns={text: text, question: question, answers: answers, start: null}",
        "tasks.qa.options.layout=branch",
    ]
    shared = Training(given, settings.threads)
    alone = Training([*given, "batching.max_branches=1"], settings.threads)
    losses, norms = [], []
    for run, grouped in ((shared, True), (alone, False)):
        losses.append(run.loss(run.together(shared.pairs(), grouped=grouped)))
        norms.append(norm([p.grad for p in run.model.parameters()]))

    def rate(side: Training) -> float:
        timing = side.round(steps + SKIPPED)
        return timing.examples / timing.seconds

    return Prepared(
        unit="answers/s",
        sides={
            "paragraphs shared": lambda: rate(shared),
            "one question a row": lambda: rate(alone),
        },
        ratios=[Ratio("against one question a row", "paragraphs shared", "one question a row", 3)],
        checks=[Check("the loss", *losses, 1e-5), Check("the gradients' norm", *norms, 1e-4)],
        warm_up=False,  # Every round begins with steps that are not timed.
    )


CASE = Case(
    "qa_span", "SQuAD, answers found by a 22M decoder, 16 answers a step", prepare, ("squad",)
)
