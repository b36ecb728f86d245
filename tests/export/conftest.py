"""The run and the command of the tests of inference."""

from tests.inference.conftest import _as_before as _as_before
from tests.inference.conftest import mtl as mtl
from tests.inference.conftest import trained as trained
