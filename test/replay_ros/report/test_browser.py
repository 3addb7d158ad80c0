"""The report in a real browser: no errors, no network access, all controls work."""

import dataclasses
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from replay_ros.report.build import read_content
from replay_ros.report.content.plots import Resources
from replay_ros.report.content.text import FrameToCheck, ReportedProblem, Table, Tile
from replay_ros.report.to_html import write_html

pytestmark = pytest.mark.slow

DESKTOP, PHONE = (1280, 900), (375, 800)


@contextmanager
def opened(browser, path, size=DESKTOP, scheme="light"):
    """Open the file; messages on the console and network requests are errors."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("document.documentElement.dataset.ready === 'true'")
    yield page
    assert messages == []
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    context.close()


@pytest.fixture
def page(browser, report_file):
    with opened(browser, report_file) as page:
        yield page


def frame_of(page):
    return int(page.inner_text("#frame-name").split()[1])


def picture_of(page):
    return page.get_attribute("#picture svg image", "href")


def test_the_summary_comes_first_and_lists_the_problems(page):
    assert page.inner_text("h1") == "answers"
    assert page.locator(".tile").count() >= 5
    listed = page.inner_text("#problems")
    assert "yolc_node returned no result for 1 of 12 images" in listed
    assert "images wait" in listed  # the warning of the node
    assert page.locator("#summary").bounding_box()["y"] < page.locator("#frames").bounding_box()["y"]


def test_tracks_are_drawn_with_ids_and_trails(page):
    page.fill("#scrubber", "8")
    assert page.locator('#picture [data-layer="tracks"] text').all_text_contents() == ["#5", "#2", "#3", "#4"]
    assert "M10 20L38 40" in page.get_attribute('#picture [data-layer="trails"] path', "d")
    assert "confirmed tracks" in page.inner_text("#tracks-note")
    assert page.locator("#plot-tracks .scatterlayer .trace").count() == 2


def test_the_scrubber_changes_frame_and_picture(page):
    page.fill("#scrubber", "0")
    first = picture_of(page)
    assert frame_of(page) == 1
    page.fill("#scrubber", "7")
    assert frame_of(page) == 8
    assert picture_of(page) != first
    page.click("#previous")
    assert frame_of(page) == 7
    page.click("#next")
    assert frame_of(page) == 8


def test_arrow_keys_step_and_stop_at_the_ends(page):
    page.fill("#scrubber", "10")
    page.click("h1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert frame_of(page) == 12
    page.keyboard.press("ArrowLeft")
    assert frame_of(page) == 11


@pytest.mark.parametrize(
    "layer", ["detections", "false", "truth", "missed", "regions", "inliers", "outliers", "dynamic"]
)
def test_each_layer_is_drawn_and_can_be_switched(page, layer):
    page.fill("#scrubber", "3")  # the second keyframe
    group = page.locator(f"#picture g[data-layer={layer}]")
    assert group.locator("path").count() >= 2
    assert int(page.inner_text(f"[data-label={layer}]")) > 0
    assert group.is_visible()
    page.uncheck(f"[data-toggle={layer}]")
    assert not group.is_visible()
    page.click("#next")
    page.click("#previous")
    assert not group.is_visible()  # the choice is kept from frame to frame


def test_boxes_are_drawn_at_the_objects(page):
    page.fill("#scrubber", "0")
    # Read both at once: loading plots may still move the page.
    box, svg = page.evaluate(
        """["#picture g[data-layer=missed] path.box", "#picture svg"].map((selector) => {
            const found = document.querySelector(selector).getBoundingClientRect();
            return [found.x, found.y, found.width, found.height];
        })"""
    )
    scale = svg[2] / 320
    # The fourth object, which was missed: centre 220, 150, size 24 x 16.
    assert box[0] - svg[0] + box[2] / 2 == pytest.approx(220 * scale, abs=1)
    assert box[1] - svg[1] + box[3] / 2 == pytest.approx(150 * scale, abs=1)
    assert box[2:] == pytest.approx([24 * scale, 16 * scale], abs=1)


def test_keyframes_are_shown_side_by_side_on_demand(page):
    page.fill("#scrubber", "3")
    assert page.locator("#picture svg image").count() == 1
    page.check("#side-by-side")
    assert page.locator("#picture svg image").count() == 2
    page.fill("#scrubber", "4")  # no keyframe, so no pair
    assert page.locator("#picture svg image").count() == 1
    assert not page.locator("#pairing").is_visible()


def test_a_frame_to_check_is_shown_on_click(page):
    first = page.locator("#frames-to-check button").first
    assert "yolc_node returned no result" in first.inner_text()
    first.click()
    assert frame_of(page) == 6
    assert first.get_attribute("aria-current") == "true"


def test_the_frame_of_a_problem_is_shown_on_click(page):
    page.fill("#scrubber", "0")
    page.locator("#problems button").first.click()
    assert frame_of(page) == 6


def test_the_frame_of_a_plotted_point_is_shown_on_click(page):
    page.fill("#scrubber", "0")
    page.locator("#errors").scroll_into_view_if_needed()
    point = page.locator("#plot-errors .scatterlayer .trace .point").last
    page.evaluate("document.getElementById('plot-errors').emit('plotly_click', {points: [{customdata: 9}]})")
    assert point.is_visible()
    assert frame_of(page) == 10


def test_the_theme_follows_the_system_until_the_reader_chooses(browser, report_file):
    def ground(page):
        return sum(map(int, page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")[:3]))

    with opened(browser, report_file, scheme="dark") as page:
        dark = ground(page)
        page.click("#theme")
        assert ground(page) > dark + 400
        page.emulate_media(color_scheme="light")
        page.emulate_media(color_scheme="dark")
        assert ground(page) > dark + 400
        page.click("#theme")
        assert ground(page) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_screen(browser, report_file, tmp_path, size, scheme):
    with opened(browser, report_file, size, scheme) as page:
        for section in page.locator("main section:visible").all():
            section.scroll_into_view_if_needed()
        page.wait_for_selector("#plot-latency .scatterlayer")
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    picture = cv2.imread(str(tmp_path / "page.png"))
    assert picture.shape[1] == size[0]
    assert (np.mean(picture) < 100) == (scheme == "dark")


def test_plots_are_drawn_where_there_is_data(page):
    for name in ("trajectory", "errors", "curves", "timing"):
        assert page.locator(f"#{name} .main-svg").first.is_visible(), name
    assert not page.locator("#resources").is_visible()
    table = page.inner_text("#latency-table")
    assert "yolc_node: 11 of 12 images answered, 0 refused, 1 missed" in table
    assert "500.0 ms" in table  # matching, at every percentile


def test_names_from_the_bag_are_not_interpreted_as_html(page):
    assert page.locator("b").count() == 0
    page.fill("#scrubber", "0")
    titles = page.evaluate("[...document.querySelectorAll('#picture title')].map((each) => each.textContent)")
    assert any("</script><b>van" in title for title in titles)
    legend = page.evaluate("[...document.querySelectorAll('#plot-curves .legendtext')].map((each) => each.textContent)")
    assert any(text.startswith("</script><b>van") for text in legend)  # Plotly would draw tags, links among them


HOSTILE = "<a href='https://example.com'>&lt;b&gt;</a> <img src=x onerror=alert(1)>"


def test_hostile_names_of_files_topics_stages_and_classes_are_text(browser, content, tmp_path):
    timing = dataclasses.replace(
        content.timing, stages=tuple(dataclasses.replace(each, name=HOSTILE) for each in content.timing.stages)
    )
    tables = (Table(HOSTILE, (HOSTILE, "b", "c"), ((HOSTILE, "1", "2"),), HOSTILE),)
    hostile = dataclasses.replace(
        content,
        title=HOSTILE, subtitle=HOSTILE, classes=tuple(HOSTILE for _ in content.classes), shown=HOSTILE,
        tiles=(Tile(HOSTILE, HOSTILE, HOSTILE),), problems=(ReportedProblem(HOSTILE, frame=0),),
        frames_to_check=(FrameToCheck(0, (HOSTILE,)),), timing=timing, tables=tables, provenance=tables,
        curves=tuple(dataclasses.replace(each, name=HOSTILE) for each in content.curves),
        errors=tuple(dataclasses.replace(each, name=HOSTILE) for each in content.errors),
    )  # fmt: skip
    write_html(hostile, tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        assert page.locator("a[href^=http], img, b").count() == 0
        assert page.title() == f"{HOSTILE} · replay report"
        assert page.inner_text("h1") == HOSTILE
        for plot in ("plot-curves", "plot-latency", "plot-errors"):
            names = page.evaluate(
                f"[...document.querySelectorAll('#{plot} .legendtext')].map((each) => each.textContent)"
            )
            assert [name for name in names if HOSTILE in name], plot


def test_resource_use_is_drawn_when_it_was_measured(browser, content, tmp_path):
    use = Resources(np.arange(5.0), np.linspace(0, 180, 5), np.linspace(300, 900, 5), np.full(5, 700.0))
    timing = dataclasses.replace(content.timing, resources=use)
    write_html(dataclasses.replace(content, timing=timing), tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        assert page.locator("#plot-resources .scatterlayer .trace").count() == 3


@pytest.mark.parametrize(
    ("kind", "hidden"),
    [
        ({"truth": False}, ["errors", "curves"]),
        ({"matching": False, "truth": False}, ["trajectory", "errors", "curves", "pairing"]),
        ({"detection": False, "truth": False}, ["errors", "curves"]),
        ({"frames": 1, "truth": False}, ["trajectory", "errors", "curves", "pairing"]),
    ],
    ids=["no truth", "detection only", "matching only", "one frame"],
)
def test_parts_that_a_replay_does_not_have_are_omitted(browser, make_answers, tmp_path, kind, hidden):
    write_html(read_content(make_answers(**kind)), tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        assert frame_of(page) >= 1
        for name in hidden:
            assert not page.locator(f"#{name}").is_visible(), name
        assert page.locator("nav a").count() == page.locator("main section[data-name]:visible").count()


def test_random_weights_are_announced_at_the_top(browser, make_answers, tmp_path):
    write_html(read_content(make_answers(trained=False)), tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        assert "meaningless" in page.inner_text("#untrained")
        assert not page.locator("#curves").is_visible()
