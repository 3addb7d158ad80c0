"""Offline replay: a bag through the networks and the front end, without nodes."""
