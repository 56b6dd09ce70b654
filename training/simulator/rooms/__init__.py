"""Furnished rooms from a seed, and the plan of where a body may be in them."""
