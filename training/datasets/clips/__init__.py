"""Clips of 5 s: cut from sequences, stored, opened and described."""
