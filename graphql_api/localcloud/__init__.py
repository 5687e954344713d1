"""What ``dev`` runs beside the API: an S3-speaking store, and an edge that verifies CloudFront signatures.

It stands in for a cloud, so it knows what a cloud would know: bytes, and public keys by their ids.
"""
