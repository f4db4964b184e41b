"""The app for `streamlit run app.py` and `uvicorn app:app`; `imgsearch serve` needs no file."""

import streamlit as st

from imgsearch.app.asgi import app_arguments

app = st.App(**app_arguments())
