"""Goals in words to token states."""
