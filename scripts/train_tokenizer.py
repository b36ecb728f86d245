"""Train the byte-level BPE tokenizer of the bundled trunk "tiny", and write its configuration.

python scripts/train_tokenizer.py TEXT... [--out mtl/trunk/bundled/tiny]

A TEXT is a file or a folder of .txt files, with a weight if you like: `news.txt:3` counts every
line three times, `books.txt:0.25` every fourth. The bundled corpus's training documents are always
read too. The same input gives the same files, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "mtl" / "data" / "bundled" / "newsroom" / "train.jsonl"
OUT = ROOT / "mtl" / "trunk" / "bundled" / "tiny"

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
VOCABULARY = 4096
POSITIONS = 512
BUNDLED_WEIGHT = 10.0

# GPT-2's pattern, except that every digit stands alone (the first one keeps its space).
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train(lines: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """Train a byte-level BPE tokenizer that puts `<|bos|>` before every text.

    There is no unknown token and no normalisation: every text survives a round trip, and the
    character offsets refer to the text as given (a token's leading space is not part of its span).

    Args:
        lines: Training text.
        vocabulary: Number of tokens: 3 special ones, 256 bytes, the rest merges.

    Returns:
        A `tokenizers.Tokenizer`.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(add_prefix_space=False, trim_offsets=True),
            processors.TemplateProcessing(
                single=f"{BOS} $A",
                pair=f"{BOS} $A {BOS}:1 $B:1",
                special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
            ),
        ]
    )
    return tokenizer


def tokenizer_config() -> dict[str, Any]:
    """Return what transformers must know beside `tokenizer.json`."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "model_max_length": POSITIONS,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
    }


def trunk_config(vocabulary: int = VOCABULARY) -> dict[str, Any]:
    """Return the Llama configuration of the trunk: about four million parameters."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": POSITIONS,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dtype": "float32",
    }


def weighted(path: str) -> tuple[Path, float]:
    """Split `path:weight` into both; the weight is 1 when there is none.

    Raises:
        ValueError: If there is no such file or folder, or the weight is no positive number.
    """
    name, _, number = path.rpartition(":")
    weight = 1.0
    if name and not Path(path).exists():
        path, weight = name, float(number)
    if not Path(path).exists():
        raise ValueError(f"Expected {path} to be a file or a folder, but there is none.")
    if not weight > 0:
        raise ValueError(f"Expected the weight of {path} to be above 0, but got {number}.")
    return Path(path), weight


def repeat(lines: Iterable[str], weight: float) -> Iterator[str]:
    """Yield every line `weight` times on average, at even distances when it is no whole number."""
    credit = 0.0
    for line in lines:
        credit += weight
        while credit >= 1:
            credit -= 1
            yield line


def read(path: Path) -> Iterator[str]:
    """Yield the lines of a file, or of every .txt file below a folder, in order of their names."""
    for file in sorted(path.rglob("*.txt")) if path.is_dir() else [path]:
        with file.open(encoding="utf-8") as stream:
            yield from (line for line in stream if line.strip())


def bundled() -> Iterator[str]:
    """Yield the training documents of the bundled corpus."""
    with BUNDLED.open(encoding="utf-8") as stream:
        yield from (json.loads(line)["text"] + "\n" for line in stream)


def write(tokenizer: Any, folder: Path) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `config.json` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    options = {
        "tokenizer_config.json": tokenizer_config(),
        "config.json": trunk_config(tokenizer.get_vocab_size()),
    }
    for name, content in options.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def parameters(folder: Path) -> int:
    """Return how many parameters the trunk of a folder has."""
    import torch
    from transformers import AutoConfig, AutoModel

    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.from_pretrained(folder))
    return sum(p.numel() for p in model.parameters())


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write and say what came out; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="file or folder, with :WEIGHT")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write")
    options = parser.parse_args(arguments)
    try:
        sources = [weighted(path) for path in options.texts]
    except ValueError as error:
        parser.error(str(error))
    lines = [*repeat(bundled(), BUNDLED_WEIGHT)]
    for path, weight in sources:
        lines += repeat(read(path), weight)
    tokenizer = train(lines)
    write(tokenizer, options.out)
    texts = [line.rstrip("\n") for line in bundled()]
    tokens = sum(len(e.ids) - 1 for e in tokenizer.encode_batch(texts))
    print(f"{options.out}: {tokenizer.get_vocab_size()} tokens in the vocabulary")
    print(f"bundled corpus: {sum(map(len, texts)) / tokens:.2f} characters a token")
    print(f"trunk: {parameters(options.out):,} parameters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
