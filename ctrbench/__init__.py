"""Is a new image embedding worth shipping to a CTR model, and how should it be fed in?"""

__version__ = "0.1.0"
