"""Still pictures: which files (`inputs.py`), as pixels (`reading.py`), as the network's square."""
