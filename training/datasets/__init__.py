"""Clips for training and evaluation, and the recordings they are cut from."""
