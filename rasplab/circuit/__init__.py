"""Circuits: which component feeds which, as truth read off compiled models."""
