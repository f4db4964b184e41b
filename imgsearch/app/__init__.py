"""The service and its HTTP API in one ASGI process."""
