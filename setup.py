"""Everything is declared in pyproject.toml; this file is for tools that still look for a setup.py."""

from setuptools import setup

setup()
