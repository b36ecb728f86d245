"""Train one trunk with a head for each task: ``python train.py task=ner,sentiment``."""

import sys

from mtl.cli.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
