"""A clip in words: what is done, to what, and how the body is held."""
