"""One I/O step each: thin, around the Seller and the order record. They map errors to what Temporal should do."""
