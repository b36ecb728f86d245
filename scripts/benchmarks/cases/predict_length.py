"""Time of a prediction for one text, from 1,000 to 1,000,000 characters: seconds for each million.

The bundled decoder with fresh heads for entities and a sentiment; each length a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from scripts.benchmarks.cases.inference import predictor_of
from scripts.benchmarks.cases.lora_memory import peak
from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings, own_process

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
SENTENCE = "Ines Talbot left Brackwater before the rain, and nobody asked why. "
TASKS = ["ner", "sentiment"]


def answer(characters: int, threads: int) -> tuple[float, float]:
    """Return the seconds that an answer takes, and the memory that it adds to the peak, in MB."""
    text = (SENTENCE * (characters // len(SENTENCE) + 1))[:characters]
    predictor = predictor_of(threads)
    list(predictor.predict([{"text": SENTENCE}], TASKS))
    before, start = peak(), time.perf_counter()
    list(predictor.predict([{"text": text}], TASKS))
    return time.perf_counter() - start, peak() - before


def seconds(characters: int, threads: int) -> float:
    """Return the seconds for each million characters."""
    return answer(characters, threads)[0] * 1e6 / characters


def lengths(settings: Settings) -> list[int]:
    """Return the texts' characters, in ascending order."""
    return [n for n in LENGTHS if n <= settings.pick(1_000_000, 10_000)]


def sides(settings: Settings, one: Callable[..., float]) -> dict[str, Callable[[], float]]:
    """Return a side for each length, in a process of its own."""

    def side(characters: int) -> Callable[[], float]:
        return lambda: own_process(one, characters, settings.threads)

    return {f"{n:,} characters": side(n) for n in lengths(settings)}


def prepare(settings: Settings) -> Prepared:
    """Return a side for each length."""
    found = sides(settings, seconds)
    *_, middle, most = found
    return Prepared(
        unit="seconds for each million characters",
        sides=found,
        ratios=[Ratio("longest against a tenth of it", most, middle, 1.3, at_least=False)],
        warm_up=False,
        most_rounds=3,
    )


CASE = Case("predict_length", "Entities and sentiment of one text, by its length", prepare)
