"""Using a trained model, and scoring predictions without one."""
