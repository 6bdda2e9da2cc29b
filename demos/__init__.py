"""The tabs of the hub, one module per method: TITLE, build() and handlers. Each also runs alone: python -m demos.inbetween."""
