"""Joint attention under the interaction mask, by several exact backends."""
