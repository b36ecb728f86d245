"""The picture of a sweep's jobs by two metrics."""

from __future__ import annotations

from xml.etree import ElementTree as XML

from mtl.reporting.front import Point, front_svg

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [
    Point(0, 0.5, 0.9, True),
    Point(1, 0.8, 0.6, True),
    Point(2, 0.5, 0.6, False),
]


def test_places_follow_from_values() -> None:
    root = XML.fromstring(front_svg(POINTS, "val/a/f1", "val/b/<f1>"))
    places = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")]
    assert places[0][0] == places[2][0] < places[1][0]
    assert places[0][1] < places[1][1] == places[2][1]  # SVG counts from the top.
    filled = ["class" in circle.attrib for circle in root.iter(f"{SVG}circle")]
    assert filled == [True, True, False]
    assert root.findtext(f"{SVG}desc") == (
        "No job is better in both than: job 0 (0.5000, 0.9000), job 1 (0.8000, 0.6000)"
    )
    assert root.findtext(f"{SVG}title") == "val/b/<f1> by val/a/f1"


def test_one_job_and_equal_values_have_a_place() -> None:
    for points in (POINTS[:1], [Point(n, 0.5, 0.5, True) for n in range(3)]):
        root = XML.fromstring(front_svg(points, "x", "y"))
        assert len(list(root.iter(f"{SVG}circle"))) == len(points)
