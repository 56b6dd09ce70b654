"""What runs a model folder's networks."""
