"""End-to-end search: a real server, a real Chromium, real clicks, and the recorded rows."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import duckdb
import pytest
from photos import draw_photo
from running_app import running_app

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]
BLUE_LAMPS = {"colour=blue", "category=lamp"}


def open_page(page: Any, address: str) -> None:
    """Open an address and wait for its photos."""
    page.goto(address)
    page.wait_for_selector("ul.grid .tile")


def settled(page: Any, **params: str) -> None:
    """Wait until the address has the parameters and the grid shows their results."""
    page.wait_for_url(
        lambda url: all(parse_qs(urlsplit(url).query).get(k, [""])[0] == v for k, v in params.items())
    )
    parts = "".join(f'[data-list*="{urlencode({name: value})}"]' for name, value in params.items())
    page.locator(f"ul.grid{parts}:not([aria-busy]) .tile").first.wait_for()


def shown(page: Any) -> list[str]:
    """Return the item ids in the grid, in order."""
    return page.locator(".st-key-gallery ul.grid .tile").evaluate_all(
        "tiles => tiles.map(tile => tile.dataset.id)"
    )


def ready(page: Any) -> None:
    """Wait until the model is loaded, so that texts and uploads can be searched."""
    # On a loaded machine the model is the slowest part of a page.
    page.locator(".note:empty").wait_for(state="attached", timeout=240_000)


def upload_id(page: Any) -> str:
    """Wait for a search by upload and return the upload's id."""
    page.wait_for_url("**upload=*")
    return parse_qs(urlsplit(page.url).query)["upload"][0]


def jpeg(shape: str, colour: str, variant: int) -> bytes:
    buffer = BytesIO()
    draw_photo(shape, colour, variant).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_click_text_upload_verdict_and_link_work_and_record_rows(
    chromium: Any,
    new_page: NewPage,
    shared_lite_catalog: Path,
    tmp_path: Path,
) -> None:
    catalog = Path(shutil.copytree(shared_lite_catalog, tmp_path / "catalog"))
    with running_app(catalog, log=tmp_path / "app.log") as address:
        page = new_page()
        open_page(page, address)

        first = page.locator("ul.grid .photo").first
        target = shown(page)[0]
        first.click()
        settled(page, item=target)
        assert target not in shown(page), "an item is not among its own look-alikes"
        assert len(shown(page)) == 24
        assert shown(page)[0].split("/")[0] == target.split("/")[0], "the nearest one has the same shape"
        clicked = shown(page)[1]
        page.locator("ul.grid .photo").nth(1).click()
        settled(page, item=clicked)

        ready(page)
        page.get_by_role("searchbox").fill("a yellow mug")
        page.keyboard.press("Enter")
        settled(page, text="a yellow mug")
        by_words = shown(page)
        judged = by_words[:5]
        tiles = page.locator("ul.grid .tile")
        for place in range(len(judged)):  # at a labeler's speed: no wait for the page between verdicts
            tiles.nth(place).hover()
            tiles.nth(place).locator(".action.good").click()
        page.get_by_role("button", name="Show more").click()
        page.locator(".st-key-gallery .tile").nth(47).wait_for()
        assert shown(page)[:24] == by_words, "showing more keeps what was there"
        assert tiles.first.locator(".action.good").get_attribute("aria-pressed") == "true"

        page.locator("input[type=file]").set_input_files(
            {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": jpeg("lamp", "purple", 9)}
        )
        settled(page, upload=upload_id(page))
        by_upload = shown(page)
        assert by_upload[0].split("/")[0] == "lamp"

        reopened = new_page()
        open_page(reopened, page.url)
        assert shown(reopened) == by_upload, "the link reopens the same search"
        page.locator('.st-key-gallery ul.grid[data-unsent="0"]').wait_for()
        page.context.close()
        reopened.context.close()

    with duckdb.connect(str(catalog / "catalog.duckdb"), read_only=True) as database:
        searches = database.execute(
            "SELECT query_key, count(*), count(DISTINCT item_id) FROM impressions GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        clicks = database.execute("SELECT item_id, rank, action FROM clicks").fetchall()
        verdicts = database.execute("SELECT item_id, verdict FROM judgments").fetchall()
    counts = {
        key.split("=")[0]: (rows, items)
        for key, rows, items in searches
        if key.startswith(("text", "upload"))
    }
    assert counts["text"] == (48, 48), "every hit that was shown is one impression, once"
    assert counts["upload"] == (48, 24), "two visitors saw the same 24 hits"
    assert clicks == [(clicked, 2, "open")]
    assert sorted(verdicts) == sorted((item_id, "good") for item_id in judged)


def test_more_and_less_like_this_add_terms_and_chips_remove_them(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_page(page, f"{app}/?item=mug/red-0.jpg")
    liked = shown(page)[3]
    page.locator("ul.grid .tile").nth(3).hover()
    page.locator("ul.grid .action.more").nth(3).click()
    settled(page, more=liked)
    disliked = shown(page)[0]
    page.locator("ul.grid .tile").first.hover()
    page.locator("ul.grid .action.less").first.click()
    settled(page, more=liked, less=disliked)
    assert page.locator(".chip").count() == 3
    assert not {liked, disliked} & set(shown(page))
    page.get_by_role("button", name="Remove More like").click()
    page.wait_for_url(lambda url: "more=" not in url)
    page.locator(".chip").nth(1).wait_for()
    page.go_back()
    page.wait_for_url("**more=*")
    settled(page, more=liked)
    page.get_by_role("button", name="Clear all").click()
    page.wait_for_url(lambda url: "?" not in url)
    page.locator(".hero").wait_for()


def test_keyboard_alone_finds_opens_judges_and_reads_details(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_page(page, app)
    ready(page)
    page.keyboard.press("/")
    page.keyboard.type("blue chair")
    page.keyboard.press("Enter")
    settled(page, text="blue chair")
    focused = (
        "() => { let e = document.activeElement; while (e?.shadowRoot) e = e.shadowRoot.activeElement;"
        " return %s }"
    )
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(focused % "e?.className.includes('photo')"):
            break
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused % "e.closest('.tile').dataset.id") == shown(page)[2]
    page.keyboard.press("g")
    page.locator('.tile[data-judged="good"]').wait_for()
    page.keyboard.press("i")
    page.get_by_role("dialog").locator("img.large-photo").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    target = shown(page)[0]
    page.locator("ul.grid .photo").first.focus()
    page.keyboard.press("Enter")
    settled(page, item=target)


def test_details_show_the_metadata_and_link_to_similar_items(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_page(page, app)
    page.locator("ul.grid .tile").first.hover()
    page.locator("ul.grid .action.details").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("img.large-photo").wait_for()
    assert {"Colour", "Price"} <= set(dialog.locator(".facts th").all_inner_texts())
    target = dialog.locator("ul.grid .tile").nth(1).get_attribute("data-id")
    dialog.locator("ul.grid .photo").nth(1).click()
    settled(page, item=target)
    dialog.wait_for(state="detached")


def test_filters_narrow_the_hits_and_are_kept_in_the_address(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_page(page, f"{app}/?item=mug/red-0.jpg")
    page.get_by_role("button", name="blue (").click()
    settled(page, filter="colour=blue")
    assert shown(page)
    assert all("/blue-" in item_id for item_id in shown(page))
    page.get_by_role("button", name="Remove Filter").click()
    page.wait_for_url(lambda url: "filter=" not in url)
    page.goto(f"{app}/?item=mug/red-0.jpg&filter=price%3C-1")
    page.get_by_text("No photo passes these filters").wait_for()
    page.get_by_role("button", name="Clear filters").last.click()
    settled(page, item="mug/red-0.jpg")


def test_two_filters_chosen_in_quick_succession_both_apply(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_page(page, f"{app}/?item=mug/red-0.jpg")
    page.locator("[data-testid=stSidebar]").get_by_role("button").evaluate_all(
        """all => {
            for (const name of ["blue (", "lamp ("]) {
                all.find(one => one.textContent.includes(name)).click();
            }
        }"""
    )
    page.wait_for_url(lambda url: set(parse_qs(urlsplit(url).query).get("filter", [])) == BLUE_LAMPS)
    page.locator("ul.grid[data-list*=lamp][data-list*=blue]:not([aria-busy]) .tile").first.wait_for()
    assert {item_id.split("-")[0] for item_id in shown(page)} == {"lamp/blue"}


def test_weak_results_are_marked_and_good_results_are_not(app: str, new_page: NewPage) -> None:
    page, line = new_page(390), "Nothing quite like this here"
    open_page(page, app)
    ready(page)
    for _ in range(600):  # until the background calibration completes
        answer = page.request.get(f"{app}/api/v1/search?text=bicycle&n=5").json()
        if answer["confidence"] is not None:
            break
        page.wait_for_timeout(250)
    assert answer["confidence"] == "weak"
    open_page(page, f"{app}/?text=bicycle")
    page.get_by_text(line).wait_for()
    open_page(page, f"{app}/?text=red+mug")
    page.locator(".count[role=status]").wait_for()
    assert not page.get_by_text(line).count()


def test_a_pasted_picture_is_searched_at_once(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_page(page, app)
    ready(page)
    page.evaluate(
        """text => {
            const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }""",
        base64.b64encode(jpeg("ring", "green", 7)).decode(),
    )
    settled(page, upload=upload_id(page))
    assert shown(page)[0].split("/")[0] == "ring"


def test_the_camera_takes_a_photo_to_search_by(app: str, new_page: NewPage) -> None:
    page = new_page(permissions=["camera"])
    open_page(page, app)
    ready(page)
    page.get_by_role("button", name="Take a photo").click()
    page.locator("dialog video").wait_for()
    page.wait_for_timeout(500)
    page.locator("dialog .primary").click()
    page.wait_for_url("**upload=*")


def test_a_non_image_file_is_refused_with_a_message(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_page(page, app)
    page.locator("input[type=file]").set_input_files(
        {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"these are words, not a picture"}
    )
    page.locator(".note.wrong").wait_for()
    assert page.locator(".note.wrong").inner_text()
    assert page.locator("ul.grid .tile").count() > 0, "the photos stay"


@pytest.mark.parametrize(("width", "touch"), [(390, True), (768, True), (1440, False)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_width_and_scheme_fits_and_every_image_has_alt_text(
    app: str, new_page: NewPage, width: int, touch: bool, scheme: str
) -> None:
    page = new_page(width, scheme=scheme, touch=touch)
    for path in ("/", "/?item=mug/red-0.jpg", "/catalog"):
        page.goto(app + path)
        page.locator(".canvas .row img, ul.grid .tile").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} scrolls sideways"
        assert (
            page.locator("img:visible").evaluate_all("images => images.filter(i => !i.alt.trim()).length")
            == 0
        )
        names = page.locator("button:visible").evaluate_all(
            "all => all.filter(b => !(b.ariaLabel || b.title || b.textContent).trim()).map(b => b.outerHTML)"
        )
        assert names == []


def test_a_phone_reaches_filters_and_actions_by_touch(app: str, new_page: NewPage) -> None:
    page = new_page(390, touch=True)
    open_page(page, f"{app}/?item=mug/red-0.jpg")
    tile = page.locator("ul.grid .tile").first
    for action in ("good", "bad", "more", "less", "save", "details"):
        box = tile.locator(f".action.{action}").bounding_box()
        assert box["width"] >= 24, action
        assert box["height"] >= 24, action
    page.get_by_role("button", name="Filters").tap()
    page.get_by_text("Colour").first.wait_for()


def test_a_failed_thumbnail_shows_a_notice_that_still_works(app: str, new_page: NewPage) -> None:
    page = new_page()
    page.route("**/thumbnails/**", lambda route: route.abort())
    page.goto(app)
    page.locator(".missing").first.wait_for()
    target = shown(page)[0]
    page.unroute("**/thumbnails/**")
    page.locator("ul.grid .photo").first.click()
    settled(page, item=target)
