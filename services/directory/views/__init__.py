"""Answers of the directory over HTTP."""
