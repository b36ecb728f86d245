"""Which tasks some files hold: what `mtl init` writes down."""
