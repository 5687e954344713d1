"""Every noun of the business, frozen. Read this package first.

Who asks (``principal``), what is kept (``file``), how it comes in (``upload``, ``stored_object``) and how it goes out
(``delivery``). Nothing here reads a clock, a file or a socket.
"""
