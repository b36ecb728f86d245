"""Chinese sentences: names of people, places and companies, and a mood; a character each word."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from scripts.corpora.fill import fill, split_lists, tagged

LISTS = {
    "person": ["王小雨", "李明远", "陈思", "赵海", "周文清", "吴佳", "孙立", "何一川", "许安"],
    "place": ["东河镇", "青石街", "南湖", "白云山", "西桥", "北港", "长柳巷", "石门", "新泉"],
    "firm": [
        "大禾食品",
        "远帆物流",
        "明灯书店",
        "北山电器",
        "蓝田银行",
        "四季花园",
        "飞鹤快运",
        "乐音唱片",
        "金穗农场",
    ],
    "day": ["昨天", "星期五", "今年", "上个月", "早上", "晚上"],
}
PATTERNS = {
    "positive": [
        "{day}{person:PER}在{place:LOC}吃到了最好吃的面。",
        "{firm:ORG}的服务非常好，{person:PER}很满意。",
        "{person:PER}喜欢{place:LOC}的新公园。",
        "{firm:ORG}{day}卖得很好，大家都高兴。",
    ],
    "negative": [
        "{day}{person:PER}在{place:LOC}丢了钱包，很难过。",
        "{firm:ORG}的东西又坏了，{person:PER}很生气。",
        "{place:LOC}的路太差，{person:PER}不想再去。",
        "{firm:ORG}{day}关了门，员工很失望。",
    ],
}


def rows(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows of a split: moods in turn, names of test not those of training."""
    train, other = split_lists(LISTS, ["day"])
    lists = train if split == "train" else other
    for number in range(count):
        mood = list(PATTERNS)[number % 2]
        text, spans = fill(draw.choice(PATTERNS[mood]), lists, draw)
        words, tags = tagged(text, spans, characters=True)
        who = next((s for s in spans if s.label == "PER"), spans[0])
        question = "谁？" if who.label == "PER" else "哪家公司？"
        yield {
            "text": text,
            "tokens": words,
            "ner_tags": tags,
            "sentiment": mood,
            "question": question,
            "answer": text[who.start : who.end],
            "start": who.start,
        }
