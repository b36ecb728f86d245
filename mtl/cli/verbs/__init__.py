"""The commands of ``mtl``, a file each.

A module here has ``register(app: typer.Typer) -> None`` and adds its commands there; nothing else
needs to know of it. It imports what takes long (torch, transformers) inside its functions, so that
``mtl --help`` stays quick.
"""
