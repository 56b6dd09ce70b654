"""Body motion as features, their standardisation, and the motion VAE."""
