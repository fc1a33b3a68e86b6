"""`python -m vidcam`."""

from vidcam.cli import main

if __name__ == "__main__":
    main()
