"""The typed configuration: its schema, its validation, and the ``task=a,b`` rule."""
