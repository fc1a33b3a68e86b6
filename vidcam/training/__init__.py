"""Classifiers of one's own: folders of labelled pictures, training, evaluation.

Importing this package loads nothing; its modules load what they need.
"""
