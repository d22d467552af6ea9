"""pixelwise: every pixel is a classification problem."""

__version__ = "0.1.0"
