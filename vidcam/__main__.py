"""`python -m vidcam`."""

from vidcam.cli import entry

if __name__ == "__main__":
    entry()
