"""The EgoTwin model family: transformer, configuration and pipeline."""
