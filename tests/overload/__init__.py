"""More than the machine can take, and what becomes of it: `python -m tests.overload` measures it at length."""
