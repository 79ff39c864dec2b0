"""Reading the pages that the workflow writes."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """A page as a reader has it: its text, its tables by their id or number, and what it loads.

    Attributes:
        text: all text, white space as one blank.
        tables: id, or number from 0 -> rows of the texts of their cells.
        links: (tag, value) of all attributes that can name another file.
        tags: all tags that occur.
    """

    def __init__(self, html):
        super().__init__()
        self.words, self.tables, self.links, self.tags = [], {}, [], set()
        self.open = []
        self.feed(html)
        self.close()
        self.text = " ".join("".join(self.words).split())
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.links += [(tag, attributes[a]) for a in ("src", "href") if a in attributes]
        if tag not in ("meta", "link", "br", "img", "input"):
            self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(attributes.get("id", len(self.tables)), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] = " ".join((self.rows[-1][-1] + data).split())
