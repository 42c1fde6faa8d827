"""Repeatable measurements of the engine on one machine. Nothing but the loopback address is spoken to."""
