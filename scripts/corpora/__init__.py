"""What the small corpora of the recipes are made of."""
