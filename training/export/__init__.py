"""Export of trained stages as model folders with ONNX graphs, and back for further training."""
