"""What imagined motion and frames are measured by: NumPy in, plain numbers out."""
