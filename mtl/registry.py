"""A name-to-class table that refuses duplicates and knows the nearest name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from mtl.errors import ConfigError, one_of

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of thing, filled by decorator.

    Args:
        kind: What the names stand for; used in error messages.

    Example:
        >>> shapes: Registry[type] = Registry("shape")
        >>> @shapes.register("dot")
        ... class Dot: ...
        >>> shapes.get("dot") is Dot
        True
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its target under `name`; a name can be taken once."""

        def add(entry: T) -> T:
            assert name not in self._entries, f"{self.kind} '{name}' is registered twice"
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str, where: str | None = None) -> T:
        """Return the entry called `name`.

        Args:
            name: A registered name.
            where: The config key the name came from, for the message.

        Raises:
            ConfigError: If there is no such name.
        """
        if name not in self._entries:
            raise ConfigError(one_of(where or self.kind, name, self._entries))
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
