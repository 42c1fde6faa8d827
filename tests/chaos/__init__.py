"""Everything is broken at once, by a seed, and then counted: nothing may be lost and nothing done twice.

`python -m tests.chaos` runs it; `docs/reliability.md` tells what is done and what must hold.
"""
