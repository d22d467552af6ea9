"""Questions: each is a grid of settings and seeds, and its answers lie in run folders. One file a question."""
