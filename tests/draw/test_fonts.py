"""Names in any script are drawn in a font that has them, or as numbers, never as boxes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from convlens.draw import drawn, fonts
from convlens.draw.fonts import font_of, has_font, shown
from convlens.files import printed
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.sources.pictures.picture import Picture

NAMES = {
    "Chinese": ("猫", "狗"),
    "Japanese": ("ネコ", "イヌ"),
    "Korean": ("고양이", "강아지"),
    "Cyrillic": ("кошка", "собака"),
    "Greek": ("γάτα", "σκύλος"),
    "Arabic": ("قطة", "كلب"),
    "Hebrew": ("חתול", "כלב"),
    "Hindi": ("बिल्ली", "कुत्ता"),
    "emoji": ("🐱", "🐶"),
    "mixed": ("cat 猫", "cat 狗"),
    "private": ("\ue123", "\ue124"),
    "lines": ("a\nb", "a\nc"),
}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Look for fonts again before and after a test."""
    fonts._path_for.cache_clear()
    fonts._installed.cache_clear()
    yield
    fonts._path_for.cache_clear()
    fonts._installed.cache_clear()


@pytest.mark.parametrize("script", NAMES)
@pytest.mark.parametrize("form", ["bars", "boxes", "map"])
def test_two_names_are_never_drawn_the_same_way(script: str, form: str) -> None:
    picture, images = Picture(np.full((200, 300, 3), 60, np.uint8)), []
    for name in NAMES[script]:
        # The category is the same each time, so that its colour makes no difference.
        fields: dict[str, Any] = {}
        if form == "boxes":
            fields["boxes"] = np.array([[50, 50, 150, 150]], np.float32)
        if form == "map":
            fields["map"] = np.ones((200, 300), np.uint8)
        number = NAMES[script].index(name) if not has_font(printed(name)) else 0
        label = 1 if form == "map" else number
        names = (name, name)
        said = Prediction(
            "a",
            300,
            200,
            np.array([label]),
            np.array([0.5], np.float32),
            categories=names,
            **fields,
        )
        images.append(drawn(picture, said).tobytes())
    if form == "map" and not has_font(printed(NAMES[script][0])):
        assert images[0] == images[1]  # the number, which is the same here
    else:
        assert images[0] != images[1]


@pytest.mark.parametrize("script", NAMES)
def test_every_character_of_what_is_drawn_is_in_its_font(script: str) -> None:
    for name in NAMES[script]:
        text = shown(name, 17)
        assert text in (printed(name), "17")
        font = font_of(24, text)
        missing = fonts._drawn(font, "\uffff")
        for character in text.replace(" ", ""):
            assert fonts._drawn(font, character) != missing, (text, character)


def test_without_any_font_of_the_machine_the_number_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_files", lambda characters: [])
    for names in NAMES.values():
        escaped = printed(names[0])
        assert shown(names[0], 17) == (escaped if escaped.isascii() else "17")
    assert shown("kitchen", 17) == "kitchen"


def test_fonts_are_found_without_fontconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*given: object, **settings: object) -> None:
        raise FileNotFoundError("fc-list")

    by_fontconfig = has_font("кошка")
    fonts._path_for.cache_clear()
    monkeypatch.setattr(subprocess, "run", absent)
    assert has_font("кошка") == by_fontconfig


def test_scripts_that_must_be_joined_want_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    assert shown("قطة", 17) == shown("बिल्ली", 17) == "17"
    assert shown("cat", 17) == "cat"
