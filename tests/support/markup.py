"""What a browser makes of a page: its elements and its texts."""

from collections.abc import Iterator
from html.parser import HTMLParser


class Markup(HTMLParser):
    """A page's elements, and its text without them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> Iterator[dict[str, str]]:
        """The attributes of each element of this kind."""
        return (attributes for name, attributes in self.elements if name == tag)

    def values(self, tag: str, attribute: str) -> list[str]:
        """This attribute of all elements of this kind that have it."""
        return [found[attribute] for found in self.of(tag) if attribute in found]

    def assert_harmless(self) -> None:
        """No script but our own file, nothing inline, no address that runs."""
        assert all(set(script) == {"src", "defer"} for script in self.of("script"))
        for tag, attributes in self.elements:
            assert tag not in ("iframe", "object", "embed", "base", "style", "marquee"), tag
            for name, value in attributes.items():
                assert not name.startswith("on"), (tag, name)
                assert name != "style", tag
                assert not value.strip().lower().startswith(("javascript:", "vbscript:")), (tag, value)
