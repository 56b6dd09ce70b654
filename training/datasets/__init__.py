"""Clips to train and measure on, and the recordings they are cut from."""
