"""Candidates that cheat, one for each way in the protocol, and honest ones that look odd."""
