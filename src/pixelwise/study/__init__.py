"""Answers: what the run folders of a study say about its questions, and the document that tells it."""
