"""Reading, windowing, packing and mixing of examples."""
