"""Trained stages to model folders and ONNX graphs, and back to a folder to train further."""
