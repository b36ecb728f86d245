"""Writing, running and quantizing ONNX files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mtl.errors import ConfigError, Problem

OPSET = 18
LARGE = 1_500_000_000
"""Bytes of weights that do not stand in one file; ONNX allows two billion."""


def check_installed() -> None:
    """Refuse to begin without what writes and runs ONNX files.

    Raises:
        ConfigError: With the extra that brings it.
    """
    for name in ("onnx", "onnxruntime", "onnxscript"):
        if find_spec(name) is None:
            expected = f"to be given where {name} is installed"
            advice = "Type: pip install 'mtl[onnx]'."
            raise ConfigError(Problem("--format onnx", expected, "it is not", advice))


def write_graph(
    graph: nn.Module, given: Sequence[Tensor], names: Sequence[str], file: Path
) -> None:
    """Write a function as an ONNX file, for any number of texts and tokens.

    Args:
        graph: The function.
        given: An example of its arguments; the first two axes of each are texts and tokens.
        names: Of its arguments, and of its result.
        file: Where it goes; weights of many bytes stand in a file beside it.

    Raises:
        ConfigError: If PyTorch cannot write it.
    """
    texts, tokens = torch.export.Dim("texts", min=1), torch.export.Dim("tokens", min=1)
    size = sum(p.numel() * p.element_size() for p in graph.parameters())
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                graph.eval(),
                tuple(given),
                str(file),
                input_names=list(names[:-1]),
                output_names=[names[-1]],
                dynamic_shapes=[{0: texts, 1: tokens} for _ in given],
                opset_version=OPSET,
                external_data=size > LARGE,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever PyTorch makes of a model that it cannot trace
        lines = str(error).strip().splitlines() or [type(error).__name__]
        expected = "to be for models that PyTorch can write as ONNX"
        found = f"{file.stem} cannot be written: {lines[0].rstrip('.')}"
        advice = "Use `--format hub`, which mtl.load opens."
        raise ConfigError(Problem("--format onnx", expected, found, advice)) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what PyTorch and its exporter tell of their steps off the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


class Session:
    """An ONNX file, run on the CPU by as many threads as PyTorch has.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        self._takes = {one.name for one in self._session.get_inputs()}

    def __call__(self, **given: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the only result; arguments that the file has no use for are left out."""
        known = {name: value for name, value in given.items() if name in self._takes}
        (found,) = self._session.run(None, known)
        return np.asarray(found)


def quantize(file: Path, to: Path) -> None:
    """Write a file whose matrix products have weights of 8 bits, with inputs rounded as they come.

    Dynamic quantization of onnxruntime's, a scale for each column of a matrix.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with _quiet():
            quantize_dynamic(
                str(file),
                str(to),
                per_channel=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=os.path.getsize(file) > LARGE,
            )
    finally:
        logging.getLogger().setLevel(level)
