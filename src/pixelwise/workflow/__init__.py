"""The story from pictures to a finished run, and what a finished run is for: where all rooms meet."""
