"""Training: the LightningModule, checkpoints, and the composition root ``train(cfg)``."""
