"""The formats of ``mtl export --format``, a file each."""
