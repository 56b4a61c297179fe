"""Circuits: true ones of compiled models, edge patching, discovery methods and their scores."""
