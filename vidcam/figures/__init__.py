"""Figures for people: score charts, grids of maps, faithfulness curves; matplotlib without pyplot.

Importing this package loads nothing; its modules load matplotlib.
"""
