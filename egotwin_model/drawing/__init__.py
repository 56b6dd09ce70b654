"""Bodies as images: in a 3D view, or projected into a camera's frames. NumPy and OpenCV only, no torch."""
