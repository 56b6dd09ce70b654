"""Preparation of clips from the Nymeria data set and from synthetic sequences in its form."""
