"""Facts about latents that several rooms need: their timing and their distribution."""
