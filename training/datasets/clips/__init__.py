"""5 s clips: cut from sequences, stored, opened, described and looked at."""
