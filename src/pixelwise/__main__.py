"""`python -m pixelwise` is the same as `pixelwise`."""

from .cli import main

if __name__ == "__main__":
    main()
