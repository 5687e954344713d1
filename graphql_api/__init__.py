"""A GraphQL API that hands out presigned upload targets and CDN-signed download links for private files."""
