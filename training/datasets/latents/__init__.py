"""Cached outputs of networks for clips."""
