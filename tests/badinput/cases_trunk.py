"""Trunks that cannot be loaded, or not as asked."""

from __future__ import annotations

from tests.badinput.damage import cut, drop, trunk
from tests.badinput.harness import Case, train

WHERE = ("`trunk.path`", "config.json, model.safetensors, tokenizer.json")
TOKENIZER = "trunk/tokenizer.json", "trunk/tokenizer_config.json"
RANDOM = "trunk.pretrained=false"

CASES = [
    Case("unknown trunk", train(trunk="tinny"), ("`trunk`", "'tinny'", "Did you mean 'tiny'?")),
    Case("trunk without a path", train(path=None), ("`trunk.path`", "trunk=hf", "null")),
    Case("folder that is no model", train(path="data"), (*WHERE, "'data'", "`model_type`")),
    Case(
        "model that is nowhere", train(path="no/thing"), ("`trunk.path`", "'no/thing'", "Face Hub")
    ),
    Case("file for a model", train(path="data/test.jsonl"), ("`trunk.path`", "'data/test.jsonl'")),
    Case(
        "no llama2.c",
        train(trunk="llama2c", path="data"),
        ("`trunk`", "llama2c", "convert_llama2c.py", "trunk=hf"),
    ),
    Case(
        "truncated weights",
        train(),
        (*WHERE, "file not fully covered"),
        damage=cut("trunk/model.safetensors", 2000),
    ),
    Case(
        "no weights",
        train(),
        (*WHERE, "no file named model.safetensors"),
        damage=drop("trunk/model.safetensors"),
    ),
    Case("no tokenizer", train(), (*WHERE, "tokenizer from"), damage=drop(*TOKENIZER)),
    Case("damaged tokenizer", train(), (*WHERE, "'trunk'"), damage=cut(TOKENIZER[0], 200)),
    Case("damaged configuration", train(), WHERE, damage=cut("trunk/config.json", 40)),
    Case("unknown architecture", train(), (*WHERE, "`lama`"), damage=trunk(model_type="lama")),
    Case(
        "weights of another shape",
        train(),
        (*WHERE, "has shape (400, 16), but its config.json asks for (400, 32)"),
        damage=trunk(hidden_size=32),
    ),
    Case(
        "impossible shape",
        train(RANDOM),
        (*WHERE, "not a multiple of the number of attention heads (5)"),
        damage=trunk(num_attention_heads=5),
    ),
    Case(
        "another model's tokenizer",
        train(RANDOM),
        ("`trunk.path`", "'trunk'", "400 pieces and the model has 100"),
        damage=trunk(vocab_size=100),
    ),
    Case("long windows", train("trunk.max_length=4096"), ("`trunk.max_length`", "at most 64")),
    Case("layers", train("tuning=last", "tuning.layers=9"), ("`tuning.layers`", "at most 2", "9")),
    Case(
        "a layer to adapt that there is not",
        train("tuning=lora", "tuning.target_modules=[q_porj]"),
        ("`tuning.target_modules`", "q_proj", "'q_porj'"),
    ),
    Case(
        "one layer to adapt, but no list",
        train("tuning=lora", "tuning.target_modules=q_proj"),
        ("`tuning.target_modules` to be a list", "q_proj"),
    ),
    Case(
        "states of a trunk that learns",
        train("tuning=lora", "tuning.cache=true"),
        ("`tuning.cache` to be auto or false with tuning=lora", "tuning=frozen keeps"),
    ),
    Case(
        "states of a trunk with dropout",
        train("tuning=frozen", "tuning.cache=true", "trunk.dropout=0.1"),
        ("`tuning.cache` to be auto or false", "trunk.dropout=0 keeps them"),
        notes=1,
    ),
    Case(
        "rank",
        train("tuning=lora", "tuning.rank=0"),
        ("`tuning.rank`", "at least 1", "0"),
    ),
    Case(
        "ranks that cannot fall",
        train("tuning=adalora", "tuning.initial_rank=8"),
        ("`tuning.initial_rank` to be above `tuning.rank`, which is 8", "got 8"),
    ),
    Case(
        "too few steps for ranks to fall",
        train("tuning=adalora", "tuning.rank_every=100"),
        ("`tuning.rank_every` to be at most", "got 100", "Train longer"),
        notes=1,
    ),
    Case(
        "layers that would never learn",
        train("tuning=gradual", "tuning.unfreeze_every=100"),
        ("`tuning.unfreeze_every`", "got 100", "tuning=last"),
        notes=1,
    ),
    Case(
        "rates of layers that do not learn",
        train("tuning=frozen", "tuning.layer_decay=0.9"),
        ("`tuning.layer_decay` to be 1 with tuning=frozen", "got 0.9"),
    ),
    Case(
        "ranks of parted weights",
        train("tuning=adalora", "trainer=fsdp"),
        ("`tuning` to be another method than adalora with trainer=fsdp", "Choose tuning=lora"),
    ),
]
