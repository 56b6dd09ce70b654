"""Cameras, rotations, the skeleton and camera rays."""
