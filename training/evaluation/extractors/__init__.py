"""What turns frames, clips, texts and motion into features: trained here, or the field's own from a local file."""
