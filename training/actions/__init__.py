"""What a person can be asked to do: the words for it, and the rule that recognises it."""
