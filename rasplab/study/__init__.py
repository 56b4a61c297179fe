"""Trained models: tasks from programs, training, and the comparison of heads with selectors."""
