"""Whatever is sent, nothing of the engine breaks: bodies, paths and bytes that no sane caller would send.

`python -m tests.fuzz` runs it at length; the tests here are a short version with fixed seeds.
"""
