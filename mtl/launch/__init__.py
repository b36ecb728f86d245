"""Several processes that are one run: who starts them, which one this is, how they end together."""
