"""Sequences of egocentric video, body motion and text in Nymeria's form, and the 5 s clips cut from them."""
