"""Draws the map of a scene from its style: streets, the use of each lot, markings, trees and parking slots."""
