"""Measurements, one command a table; see each module's ``--help``."""
