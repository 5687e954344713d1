"""What access rules cost: pages of people with few and many rules, on archives of different sizes.

``archive`` generates, ``load`` fills a database, ``reference`` knows every answer, ``contest`` compares and measures.
"""
