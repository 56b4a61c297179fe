"""Drawings: one module per form (text, SVG, HTML, the report). Core types know nothing of them."""
