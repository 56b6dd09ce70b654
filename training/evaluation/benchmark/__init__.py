"""The benchmark: its clips and tasks, predictions as folders, measurements, the report."""
