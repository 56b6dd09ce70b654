"""Cameras, rotations, the skeleton, camera rays and the scene memory."""
