"""imgsearch: visual product search that a shop can run. Importing it loads neither torch nor streamlit."""

__version__ = "0.1.0"
