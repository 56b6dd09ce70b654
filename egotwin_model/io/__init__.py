"""Files, model folders, weights, recordings, images and videos."""
