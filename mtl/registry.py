"""A name-to-entry table that refuses duplicates, knows the nearest name, and finds plugins.

An installed package extends a registry by an entry point of the registry's group::

    [project.entry-points."mtl.tasks"]
    count = "mtl_count:Count"

What it names is registered under the entry point's name; where it names a module, which registers
by decorator, importing it is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeVar

from mtl.errors import ConfigError, one_of

if TYPE_CHECKING:
    from mtl.config.section import Section

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of thing, filled by decorator and by entry points.

    Args:
        key: What the names stand for: the config key that holds one, for messages.
        group: The entry points' group; none are looked for when None.

    Example:
        >>> shapes: Registry[type] = Registry("shape")
        >>> @shapes.register("dot")
        ... class Dot: ...
        >>> shapes.get("dot") is Dot
        True
    """

    def __init__(self, key: str, group: str | None = None) -> None:
        self.key = key
        self.group = group
        self._entries: dict[str, T] = {}
        self._options: dict[str, type[Section]] = {}
        self._loaded = group is None

    def register(self, name: str, options: type[Section] | None = None) -> Callable[[T], T]:
        """Return a decorator that files its target under `name`; a name can be taken once.

        Args:
            name: What a configuration calls it.
            options: The section of its own options, for things that have any.

        Raises:
            ConfigError: If the name is taken.
        """

        def add(entry: T) -> T:
            if self._entries.setdefault(name, entry) is not entry:
                raise ConfigError(
                    f"Expected `{self.key}` '{name}' to be registered once, but got it twice."
                )
            if options is not None:
                self._options[name] = options
            return entry

        return add

    def get(self, name: str, where: str | None = None) -> T:
        """Return the entry called `name`.

        Args:
            name: A registered name.
            where: The config key the name came from, for the message.

        Raises:
            ConfigError: If there is no such name, or a plugin cannot be loaded.
        """
        if name not in self:
            raise ConfigError(one_of(where or self.key, name, self))
        return self._entries[name]

    def options(self, name: str) -> type[Section] | None:
        """Return the section of an entry's own options, None if it has none."""
        return self._options.get(name)

    def _load(self) -> None:
        """Register what other packages bring, once."""
        if self._loaded:
            return
        self._loaded = True
        for point in entry_points(group=self.group or ""):
            self._add(point)

    def _add(self, point: EntryPoint) -> None:
        package = point.dist.name if point.dist is not None else point.module
        where = f"package '{package}', entry point `{point.name}` of {self.group}"
        try:
            entry = point.load()
        except Exception as error:
            raise ConfigError(
                f"Expected {where} to import, but got {type(error).__name__}: {error}. "
                f"Mend the package, or remove it: pip uninstall {package}."
            ) from error
        if isinstance(entry, ModuleType):
            return
        if self._entries.setdefault(point.name, entry) is not entry:
            raise ConfigError(
                f"Expected {where} to bring a new name, but '{point.name}' is taken. "
                f"Rename it there, or remove the package: pip uninstall {package}."
            )

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._load()
        return len(self._entries)
