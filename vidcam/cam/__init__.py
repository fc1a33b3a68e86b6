"""Exact class activation maps: the split (`split.py`), the layers, the methods."""
