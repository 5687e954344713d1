"""The upload and download client: the protocol of docs/clients.md, spelt out in code. It imports nothing of the server.

Read ``protocol`` (what is asked and answered), then ``upload`` and ``parts`` (how bytes are sent), then ``download``.
No state is kept on this machine besides the ``.part`` files of unfinished downloads: what there is to resume is asked
of the API.
"""
