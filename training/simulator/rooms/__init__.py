"""Furnished rooms from a seed, and plans of them for motion."""
