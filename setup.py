"""Build step: a wheel has ``conf/`` inside the package. All else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONF = "conf"


class BuildWithConf(build_py):
    """Copies the configuration folder beside the package's modules.

    Editable installs read the checkout's own.
    """

    def run(self) -> None:
        """Build as usual, then copy."""
        super().run()
        if self.editable_mode:
            return
        for source, target in self._conf():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files that are built, those of the folder among them."""
        files = [] if self.editable_mode else [str(target) for _, target in self._conf()]
        return [*super().get_outputs(include_bytecode), *files]

    def _conf(self) -> list[tuple[Path, Path]]:
        into = Path(self.build_lib) / "mtl"
        return [(file, into / file) for file in sorted(Path(CONF).rglob("*.yaml"))]


setup(cmdclass={"build_py": BuildWithConf})
