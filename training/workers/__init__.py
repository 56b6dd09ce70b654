"""Long work: spread over workers, stopped without loss."""
