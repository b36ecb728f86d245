"""``mtl serve``: trained models behind HTTP, with a page to try them."""
