"""The command line `order-engine`: everything on one machine, each part alone, and the operator's work."""
