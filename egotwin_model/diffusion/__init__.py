"""Noise schedule, solvers, the sampler for two modalities, and the attention they run on."""
