"""What comes with the package beside its code, and how training is started from here.

In a checkout, ``conf/`` and ``train.py`` stand beside the package; a wheel has ``conf/`` inside the
package (``setup.py``), and ``mtl train`` in place of ``train.py``.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
SCRIPT = PACKAGE.parent / "train.py"
CHECKOUT = SCRIPT.is_file() and (PACKAGE.parent / "conf" / "train.yaml").is_file()
CONF = PACKAGE.parent / "conf" if CHECKOUT else PACKAGE / "conf"
"""The project's configuration folder."""
WORKER = (str(SCRIPT),) if CHECKOUT else ("-P", "-m", "mtl.cli.train")
"""What Python is given to be one process of a run. Without -P, it would look for modules in the
current folder first."""
COMMAND, VERB = "python train.py", "mtl train"


def program() -> str:
    """Return how training is called from the current folder, as a shell reads it."""
    here = Path(SCRIPT.name)
    if CHECKOUT and here.is_file() and here.samefile(SCRIPT):
        return COMMAND
    if not CHECKOUT or Path(sys.argv[0]).name == "mtl":
        return VERB
    return f"python {shlex.quote(str(SCRIPT))}"
