"""The HTTP front: thin routes that turn requests into workflow starts, updates and signals."""
