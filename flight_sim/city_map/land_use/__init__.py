"""Generators that fill one lot of the map each, by land use."""
