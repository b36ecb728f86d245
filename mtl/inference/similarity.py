"""Which entry of a knowledge file is nearest to a text, by an encoder.

A text is the mean of its tokens' last states, at length 1; similarity is the cosine (Reimers and
Gurevych 2019). Encoders that were trained to compare sentences are made for it; others give some
order, and a poor one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

from mtl.config.section import Values
from mtl.errors import CheckpointError, DataError, Problem, meant_folder
from mtl.training.description import model_folder
from mtl.trunk.load import quiet

BATCH = 64
LONGEST = 512
"""Tokens of a text that are read."""


@dataclass(frozen=True)
class Entry:
    """One entry of a knowledge file.

    Args:
        id: Its own.
        title: A line; may be empty.
        text: What it says.
    """

    id: str
    title: str
    text: str


def read_knowledge(path: Path) -> list[Entry]:
    """Return the entries of a file of JSON lines with ``id``, ``text`` and perhaps ``title``.

    Raises:
        DataError: If there is no such file, a line is not like that, or an id stands there twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        expected = "to be a file of JSON lines in UTF-8"
        raise DataError(Problem(str(path), expected, unreadable(error))) from error
    found: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        entry = _entry(line, f"{path}:{number}")
        if entry.id in found:
            raise DataError(
                Problem(f"{path}:{number}", "to have an id of its own", f"got '{entry.id}' again")
            )
        found[entry.id] = entry
    if not found:
        raise DataError(Problem(str(path), "to have an entry", "got none"))
    return list(found.values())


def unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Return why a file cannot be read, in words."""
    if isinstance(error, UnicodeDecodeError):
        return f"got the byte 0x{error.object[error.start]:02x}"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return f"it cannot be read: {error.strerror}"


def _entry(line: str, where: str) -> Entry:
    expected = 'to be like {"id": "refund", "title": "Refunds", "text": "Money is …"}'
    try:
        row = json.loads(line)
        text = row["text"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError(text)
        return Entry(str(row["id"]), str(row.get("title") or ""), text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(Problem(where, expected, f"got {line[:60]!r}")) from error


class Encoder:
    """A transformer whose mean states stand for texts.

    Args:
        path: A folder, or a name on the Hub, that transformers opens; of a run its trunk.
        device: Where it runs.

    Raises:
        CheckpointError: If it cannot be opened.
    """

    def __init__(self, path: str, device: torch.device) -> None:
        opened = str(model_folder(Path(path)))
        local = not Path(opened).is_dir() and _is_away(path)
        try:
            with quiet():
                self.tokenizer = AutoTokenizer.from_pretrained(opened, local_files_only=local)
                model = AutoModel.from_pretrained(
                    opened, dtype=torch.float32, local_files_only=local
                )
        except (OSError, ValueError) as error:
            expected = "to name a model that transformers opens"
            reason = str(error).partition("\n")[0].rstrip(".")
            near = "" if Path(opened).is_dir() else meant_folder(Path(path)).strip()
            raise CheckpointError(
                Problem("--encoder", expected, f"got '{path}' ({reason})", near)
            ) from error
        self.model = model.to(device).eval()
        self.device = device
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        self.tokenizer.padding_side = "right"
        positions = getattr(model.config, "max_position_embeddings", LONGEST)
        self.longest = min(LONGEST, self.tokenizer.model_max_length, positions)
        self.cut = 0
        """Texts of which only the first `longest` tokens were read."""

    def embed(
        self, texts: Sequence[str], advance: Callable[[float], None] = lambda count: None
    ) -> Tensor:
        """Return (n, D) states of length 1, in the order of the texts.

        Args:
            texts: n of them.
            advance: Called with how many more are done.
        """
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        found: dict[int, Tensor] = {}
        for begin in range(0, len(order), BATCH):
            numbers = order[begin : begin + BATCH]
            states = self._states([texts[n] for n in numbers])
            found.update(zip(numbers, states, strict=True))
            advance(len(numbers))
        return torch.stack([found[n] for n in range(len(texts))])

    def _states(self, texts: list[str]) -> Tensor:
        whole = self.tokenizer(texts, verbose=False)["input_ids"]
        self.cut += sum(len(ids) > self.longest for ids in whole)
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        ).to(self.device)
        batch.pop("token_type_ids", None)
        with torch.inference_mode():
            states = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return F.normalize(mean, dim=-1).cpu()


def _is_away(name: str) -> bool:
    """Whether the Hub cannot be reached, by one try: transformers' own tries take a minute."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"))
    except (HfHubHTTPError, HFValidationError):
        return False
    except Exception:  # Of the client, which is another package in other versions of the Hub's.
        return True
    finally:
        logging.set_verbosity(level)
    return False


def matches(
    texts: Tensor, entries: Tensor, knowledge: Sequence[Entry], most: int
) -> Iterator[list[Values]]:
    """Yield the nearest entries of each text, the nearest first.

    Args:
        texts: (n, D) of length 1.
        entries: (m, D) of length 1.
        knowledge: m entries.
        most: How many of them.
    """
    for row in texts @ entries.T:
        # Equal ones stand in the order of the file.
        order = torch.sort(row, descending=True, stable=True).indices[:most].tolist()
        yield [
            {
                "id": knowledge[n].id,
                "title": knowledge[n].title,
                "text": knowledge[n].text,
                "similarity": round(float(row[n]), 4),
            }
            for n in order
        ]


def ranks(texts: Tensor, entries: Tensor, right: Sequence[int]) -> list[int]:
    """Return at which place, counted from 1, each text's right entry stands."""
    found = []
    for row, number in zip(texts @ entries.T, right, strict=True):
        order = torch.sort(row, descending=True, stable=True).indices.tolist()
        found.append(order.index(number) + 1)
    return found
