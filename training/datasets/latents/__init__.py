"""What networks make of clips, computed once and kept."""
