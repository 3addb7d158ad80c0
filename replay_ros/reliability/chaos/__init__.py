"""Chaos: one fault after the other while images flow; after each the system must answer again within seconds."""
