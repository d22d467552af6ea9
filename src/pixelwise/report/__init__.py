"""Answers out: tables, figures and pages, all from run folders and values."""
