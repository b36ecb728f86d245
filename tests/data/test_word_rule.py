"""Words of raw texts, as training has them: a test per script and per convention."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.word_learning import learn_words, pieces
from mtl.data.word_rule import BLOCK, WordRule
from mtl.data.words import find_words, split_words
from tests.properties import max_examples


def cut(rule: WordRule, text: str) -> str:
    return "|".join(text[s:e] for s, e in zip(*rule.split(text), strict=True))


def from_words(*sentences: str) -> WordRule:
    """Return what words alone teach; they stand between blanks."""
    return learn_words((sentence.split(), None) for sentence in sentences)


def from_text(text: str, words: str) -> WordRule:
    """Return what a text with its words teaches."""
    return learn_words([(words.split("|"), text)])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ines left Brackwater.", "Ines|left|Brackwater|."),
        ("东京は広い。", "东|京|は|広|い|。"),
        ("カタカナ", "カ|タ|カ|ナ"),
        ("用iPhone拍2001年", "用|iPhone|拍|2001|年"),
        ("𠮷野家 々", "𠮷|野|家|々"),
        ("ดีครับ", "ดี|ค|รั|บ"),
        ("ສະບາຍ", "ສ|ະ|ບ|າ|ຍ"),
        ("ខ្មែរ", "ខ្|មែ|រ"),
        ("မြန်မာ", "မြ|န်|မာ"),
        ("한국어 문장", "한국어|문장"),
        ("हिन्दी में", "हिन्दी|में"),
        ("سلام دنیا", "سلام|دنیا"),
        ("Привет, мир", "Привет|,|мир"),
    ],
)
def test_without_training_the_script_tells(text: str, wanted: str) -> None:
    assert cut(WordRule(), text) == wanted


def test_models_from_before_split_as_they_did() -> None:
    rule = WordRule(scripts=False)
    for text in ("东京は。", "Don't @ines_t 5kg", "สวัสดี"):
        starts, ends = split_words(text)
        assert [side.tolist() for side in rule.split(text)] == [starts.tolist(), ends.tolist()]


@pytest.mark.parametrize(
    ("taught", "text", "wanted"),
    [
        pytest.param("ask @rosa_q .", "Tell @lyme_b!", "Tell|@lyme_b|!", id="handles"),
        pytest.param("ask @ rosa _ q .", "Tell @lyme_b!", "Tell|@|lyme|_|b|!", id="no handles"),
        pytest.param("#calm sea", "A #loud day", "A|#loud|day", id="hashtags"),
        pytest.param("well-known hats", "an old-time hat", "an|old-time|hat", id="hyphens inside"),
        pytest.param("well - known hats", "an old-time hat", "an|old|-|time|hat", id="hyphens"),
        pytest.param(
            "do n't see Rosa 's hat", "She didn't mend Ada's cap.",
            "She|did|n't|mend|Ada|'s|cap|.", id="clitics",
        ),
        pytest.param("don't see Rosa's hat", "She didn't mend Ada's cap.",
                     "She|didn't|mend|Ada's|cap|.", id="apostrophes inside"),
        pytest.param("don ' t see", "didn't", "didn|'|t", id="apostrophes apart"),
        pytest.param("l' homme qu' elle", "L'eau qu'il a", "L'|eau|qu'|il|a", id="elisions"),
        pytest.param("5kg at 9 km/h", "7mg in 3 m/s", "7mg|in|3|m/s", id="units inside"),
        pytest.param("5 kg at 9 km / h", "7mg in 3 m/s", "7|mg|in|3|m|/|s", id="units apart"),
        pytest.param("the U.S. and Mr. Quill .", "Mr. Bo left.", "Mr.|Bo|left|.",
                     id="abbreviations"),
        pytest.param("see a@b.org now", "ask q@r.com.", "ask|q@r.com|.", id="addresses"),
        pytest.param("东 京 很 大 。", "北京2时", "北|京|2|时", id="characters"),
        pytest.param("二 〇 2 0 年", "在2019年", "在|2|0|1|9|年", id="characters and digits"),
        pytest.param("东京 很 大 。 北京", "北京大东京。", "北京|大|东京|。", id="Chinese words"),
        pytest.param("ครับ ไป เที่ยว", "ไปครับนะ", "ไป|ครับ|น|ะ", id="Thai words"),
        pytest.param("東京 は 広い", "東京は広い", "東京|は|広い", id="Japanese words"),
    ],
)  # fmt: skip
def test_what_words_alone_teach(taught: str, text: str, wanted: str) -> None:
    assert cut(from_words(taught), text) == wanted


@pytest.mark.parametrize(
    ("given_text", "words", "text", "wanted"),
    [
        ("Rosa-led hats", "Rosa|-|led|hats", "Ada-made", "Ada|-|made"),
        ("a dash - here, well-known", "a|dash|-|here|,|well-known", "old-time - ok",
         "old-time|-|ok"),
        ("I can't, gonna", "I|ca|n't|,|gon|na", "You can't gonna", "You|ca|n't|gon|na"),
        ("@rosa_q says", "@rosa_q|says", "ask @bo_b", "ask|@bo_b"),
        ("5kg hats", "5|kg|hats", "7mg", "7|mg"),
        ("5kg hats", "5kg|hats", "7mg", "7mg"),
        ("东京很大", "东|京|很|大", "北京", "北|京"),
        ("东京很大", "东京|很|大", "大东京", "大|东京"),
        ("C'est l'été", "C'|est|l'|été", "l'eau c'est", "l'|eau|c'|est"),
    ],
)  # fmt: skip
def test_what_texts_with_their_words_teach(
    given_text: str, words: str, text: str, wanted: str
) -> None:
    assert cut(from_text(given_text, words), text) == wanted


def test_a_text_shows_more_than_words_alone() -> None:
    """A dash between blanks is no hyphen: alone, the words do not tell, and few inner ones win."""
    dashes = [(["so", "-", "and", "so"], "so - and so")] * 30
    rule = learn_words([*dashes, (["well-known"], "well-known")])
    assert cut(rule, "old-time") == "old-time"


WORDS = st.text(st.sampled_from("abé1'’-.@_#/東京 ์"), min_size=1, max_size=5).filter(
    lambda word: not any(c.isspace() for c in word)
)


@given(st.lists(WORDS, min_size=1, max_size=8))
@max_examples(300)
def test_words_of_training_between_blanks_are_split_into_them_again(words: list[str]) -> None:
    text = " ".join(words)
    for rule in (learn_words([(words, None)]), learn_words([(words, text)])):
        assert cut(rule, text) == "|".join(words)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=4))
@max_examples(300)
def test_texts_of_training_are_split_as_there(chunks: list[list[str]]) -> None:
    """Where equal pieces of the texts have equal words."""
    text, words = " ".join("".join(c) for c in chunks), [word for c in chunks for word in c]
    starts, ends = find_words(text, words) or ([], [])
    seen = dict(pieces(text, list(starts), list(ends)))
    if list(pieces(text, list(starts), list(ends))) != [(c, seen[c]) for c in text.split()]:
        return
    rule = learn_words([(words, text)])
    assert cut(rule, text) == "|".join(words)


@given(st.text(st.sampled_from("abé1'’-.@_#/東京ดี\u200d👍 \n"), max_size=20))
@max_examples(200)
def test_every_visible_character_is_in_one_word(text: str) -> None:
    taught = (WordRule(), from_words("a'b @a_b 東京 1a"), from_text("a-b,東京", "a|-|b|,|東|京"))
    for rule in taught:
        starts, ends = rule.split(text)
        assert (starts < ends).all()
        assert (ends[:-1] <= starts[1:]).all()
        assert cut(rule, text).replace("|", "") == "".join(text.split())


def test_a_rule_is_plain_values() -> None:
    rule = from_words("do n't ask @rosa_q about the U.S. 东京 站 well-known")
    again = WordRule.model_validate(json.loads(json.dumps(rule.model_dump())))
    text = "Isn't @bo_b in the U.S.? 东京站"
    assert cut(again, text) == cut(rule, text)
    assert again == rule


def test_rows_whose_words_are_not_in_the_text_teach_nothing() -> None:
    assert learn_words([(["Rosa"], "Ada"), ([], "")]) == WordRule()


def test_text_without_blanks_is_split_a_block_at_a_time() -> None:
    rule = from_words("东 京 @rosa_q well-known 5kg")
    part = "东京a-b,5kg@x_y"
    starts, ends = rule.split(part * 1_000)
    one, its_ends = rule.split(part * 20)
    size = len(part)
    assert len(part) * 1_000 > 3 * BLOCK
    assert starts[: len(one) // 2].tolist() == one[: len(one) // 2].tolist()
    assert ends[-1] == size * 1_000
    inner = {tuple((starts[(starts >= at) & (starts < at + size)] - at).tolist())
             for at in range(size, 998 * size, size)}  # fmt: skip
    assert len(inner) == 1
    assert its_ends[-1] == 20 * size


@pytest.mark.parametrize("taught", [True, False])
def test_words_found_some_at_a_time_are_those_of_the_whole(
    taught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many at a time, and where blanks stand only here and there."""
    rule = from_words("东 京 @rosa_q well-known 5kg") if taught else WordRule()
    texts = {
        "东京a-b,5kg@x_y" * 700: 4,
        "Didn't @rosa_q pay 1,204.50 at e\u0301te\u0301?  It's 5kg.\n" * 30: 30,
        "x" * 9_000 + " 1,2 '" + "." * 9_000: 2,
        " \n ": 0,
    }
    wanted = {text: [side.tolist() for side in rule.split(text)] for text in texts}
    monkeypatch.setattr("mtl.data.word_rule.STRETCH", 11)
    monkeypatch.setattr("mtl.data.word_rule.LENGTH", 25)
    for text, least in texts.items():
        found = list(rule.stretches(text))
        assert [[int(n) for part in side for n in part] for side in zip(*found, strict=True)] == (
            wanted[text]
        )
        assert len(found) >= least
