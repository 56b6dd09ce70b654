"""Depth of an image: given by a camera, or estimated from the image, gravity, the floor and earlier images."""
