"""The Streamlit pages and components."""
