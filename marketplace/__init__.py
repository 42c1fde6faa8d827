"""The library below the engine: what an order and a Seller are, and the adapters that reach them."""
