"""Texts of a clip: the goal, the posture, the focus of attention; and names of things."""
