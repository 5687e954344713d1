"""The HTTP face. ``app.create_app`` puts it together: ``authentication`` says who asks, ``graphql_view`` takes the
operation, ``middleware`` and ``logs`` see to what is true of every request and every log line.
"""
