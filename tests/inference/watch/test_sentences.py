"""Where sentences end, against sentences cut by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.inference.watch.sentences import sentences

CUT = [
    "Norvik fell.| Castor rose!| Who knows?| Nobody.",
    "Norvik lost the mill;| Castor bought it.",
    'Pelham Inc. fell 3.5 percent. |"We are sorry." |It was Mr. Roe, of the U.S. office.',
    "It fell... and rose again. |J. Pelham left.",
    '"Enough!" said Roe. |He left.',
    "One line\n|Another line",
    "诺维克下跌。|卡斯特上涨！|没人知道",
    "no end at all",
    "",
]


@pytest.mark.parametrize("cut", CUT)
def test_by_hand(cut: str) -> None:
    text = cut.replace("|", "")
    found = [text[start:end].strip() for start, end in sentences(text)]
    assert found == [part.strip() for part in cut.split("|") if part]


def test_none_ends_in_a_name() -> None:
    text = "The Who? Never! Records sold out. It fell."
    end = len("The Who? Never! Records")
    assert len(sentences(text)) == 4
    assert [text[s:e] for s, e in sentences(text, [(0, end)])][1:] == ["It fell."]
    at_the_end = [(0, len("Castor Ltd."))]
    assert sentences("Castor Ltd. It fell.", at_the_end)[0][0] == 0


@given(st.text(alphabet='Aa.!; \n。1"', max_size=40))
def test_all_of_a_text_is_in_one(text: str) -> None:
    found = sentences(text)
    inside = "".join(text[start:end] for start, end in found)
    assert "".join(inside.split()) == "".join(text.split())
    assert found == sorted(found)
