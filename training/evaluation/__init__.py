"""How good a model is: metrics, extractors, the benchmark and its report, the quick evaluation."""
