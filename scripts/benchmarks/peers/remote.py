"""A peer in another environment: its Python loads once and takes steps on command, over a pipe.

A line of JSON goes to its standard input, one comes back from its standard output::

    {"steps": 12}
    {"seconds": 4.1, "steps": 10, "tokens": 5120, "examples": 320}
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Remote:
    """A script that answers requests until its standard input ends.

    Args:
        python: The other environment's Python.
        script: Reads requests and writes answers.
        options: Its first request.
    """

    def __init__(self, python: str, script: Path, options: Mapping[str, Any]) -> None:
        own = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        self.command = [python, str(script)]
        self.process = subprocess.Popen(
            self.command, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ready = self.ask(options)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            RuntimeError: If the script has ended; what it had to say is on standard error.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            raise RuntimeError(f"{' '.join(self.command)} ended with exit code {code}.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let it end."""
        self.process.communicate()
