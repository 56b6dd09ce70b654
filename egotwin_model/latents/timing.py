"""How video latents divide time: the causal video VAE's temporal compression."""

from __future__ import annotations

FRAMES_PER_LATENT = 4
"""Frames behind each video latent but the first, which holds one frame."""
