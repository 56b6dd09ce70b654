"""The training stages: recipes, the trainer, video codec, motion VAE and diffusion."""
