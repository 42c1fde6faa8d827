"""Every event at every step of an order: just before it, while it is under way, and right after it."""
