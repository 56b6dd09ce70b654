"""Work shared among processes or a Ray cluster, and stopped without loss."""
