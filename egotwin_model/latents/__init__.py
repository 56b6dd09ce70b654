"""What every latent of this library has in common: its place in time, and its distribution."""
