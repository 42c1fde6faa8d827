"""A Seller on VTEX, simulated: an independent counterpart for development, demonstrations, tests and integrators.

It imports nothing of the engine, so that both sides can be wrong only separately. `docs/sandbox.md` is its manual.
"""
