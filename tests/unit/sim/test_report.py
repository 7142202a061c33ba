"""The page of a made-up result: what it holds, what it must not load, what gaps do to it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ringfence.report.frame import embed
from ringfence.sim.report import render
from ringfence.sim.result import Check, Keeper, Result, from_json, to_json
from tests.support.synthetic_result import synthetic_result

VOID = {"meta", "link", "br", "col", "hr", "img", "input", "source"}
LOADING = {"src", "href", "srcset", "action", "data", "poster", "formaction", "background"}


class Page(HTMLParser):
    """Collects a page's elements and text, and complains of tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def result() -> Result:
    return synthetic_result()


@pytest.fixture(scope="module")
def html(result: Result) -> str:
    return render(result, {"vyper": "0.4.3", "vault code hash": "0x" + "5e" * 32})


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_render__whole_result__is_one_page_below_8_mb(html: str, page: Page) -> None:
    assert html.startswith("<!doctype html>")
    assert len(html.encode()) < 8_000_000
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_render__whole_result__loads_nothing(html: str, page: Page) -> None:
    for tag, attrs in page.tags:
        for name in LOADING & attrs.keys():
            assert (attrs[name] or "").startswith(("#", "data:")), (tag, name)
    own = html.replace(page.scripts[1], "")  # Plotly's bundle names addresses that it does not load
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|https?://", own)


def test_render__whole_result__links_lead_somewhere(page: Page) -> None:
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = {(attrs["href"] or "")[1:] for tag, attrs in page.tags if tag == "a"}
    assert links <= ids


def test_render__whole_result__names_the_run(page: Page, result: Result) -> None:
    for words in ("A synthetic crash", "synthetic", "31337", "0.4.3", "0x5e5e5e5e5e…5e5e5e5e"):
        assert words in page.text
    assert f"All {len(result.checks)} checks held" in page.text
    assert "WETH fell 56.0\u00a0% in 48 hours, from 195.55 to 86.00 USDC, then rose" in " ".join(
        page.words
    )


def test_render__whole_result__shows_every_check(page: Page, result: Result) -> None:
    for check in result.checks:
        assert check.name in page.text
        assert check.detail in page.text


def test_render__whole_result__shows_every_position(page: Page, result: Result) -> None:
    for position in result.positions:
        assert f"0x{position.position_id:064x}" in page.text
        assert position.owner in page.text
        for action in position.actions:
            assert f"{action.tx_hash[:10]}…{action.tx_hash[-8:]}" in page.text


def test_render__whole_result__proves_every_liquidation(page: Page, result: Result) -> None:
    assert {one.kind for one in result.liquidations} == {"partial", "full", "insolvent"}
    for one in result.liquidations:
        assert one.tx_hash in page.text
        for word in one.words:
            assert f"0x{word.before:064x}" in page.text, f"{word.name} is not shown"
            assert f"0x{word.after:064x}" in page.text, f"{word.name} is not shown"
    count = len(result.liquidations)
    assert f"✓ {count} of {count} liquidations touched one slot" in page.text


def test_render__whole_result__shows_amounts_to_the_unit(page: Page, result: Result) -> None:
    for one in result.conservation:
        assert f"{one.supply:,}" in page.text
    for token, units in result.keeper.profits.items():
        decimals = {"USDC": 6, "WETH": 18}[token]
        assert f"{abs(units) // 10**decimals:,}.{abs(units) % 10**decimals:0{decimals}d}" in (
            page.text
        )


def test_render__same_result__gives_the_same_bytes(result: Result, html: str) -> None:
    build = {"vyper": "0.4.3", "vault code hash": "0x" + "5e" * 32}
    assert render(from_json(to_json(result)), build) == html


def test_render__text_with_markup__is_escaped() -> None:
    evil = "</script><script>alert('x')</script><b title=\"q\">&amp;"
    result = synthetic_result()
    first = result.positions[0]
    result = replace(
        result,
        title=evil,
        scenario=evil,
        markets=tuple(replace(market, title=evil) for market in result.markets),
        positions=(replace(first, account=evil), *result.positions[1:]),
        checks=(Check(evil, False, evil),),
    )
    page = Page(render(result, {evil: evil}))
    assert len(page.scripts) == len(Page(render(synthetic_result())).scripts)
    assert not any("alert" in script for script in page.scripts[1:])
    assert "</script" not in "".join(page.scripts)
    assert evil in "".join(page.words)


def test_render__failed_check__is_named_at_the_head(page: Page) -> None:
    failed = (Check("tokens_conserved", False, "1 unit too many"), Check("fine", True, ""))
    text = Page(render(synthetic_result(checks=failed))).text
    assert "✗ 1 of 2 checks failed: tokens_conserved" in text
    assert "checks failed" not in page.text


def test_render__stray_word__breaks_the_proof_whatever_the_run_says() -> None:
    result = synthetic_result()
    first = result.liquidations[0]
    stray = replace(first.words[0], name="other", slot=77)
    broken = replace(first, words=(*first.words, stray), isolated=True)
    text = Page(render(replace(result, liquidations=(broken, *result.liquidations[1:])))).text
    count = len(result.liquidations)
    assert f"✗ {count - 1} of {count} liquidations touched one slot" in text, "not noticed"
    assert "A word that should not have changed" in text
    assert f"0x{77:064x}" in text


def test_render__whole_result__says_how_to_run_it_again(html: str) -> None:
    again = html[html.index('<section id="again">') :]
    for name, text in (("seed", "7"), ("vyper", "0.4.3"), ("vault code hash", "0x" + "5e" * 32)):
        assert f'<th scope="row">{name}</th><td><code>{text}</code>' in again


def test_render__whole_result__holds_the_engine_to_the_chain(html: str, page: Page) -> None:
    count = len(synthetic_result().liquidations)
    assert f"{count} are the same position at the same step" in page.text
    assert "verdicts, positions by steps: zero everywhere" in page.text
    for name in ("falls", "cascade", "drop-usdc-weth-short", "agreement", "amounts"):
        place = html[html.index(f'id="plot-{name}"') :]
        assert place.index("<svg ") < place.index("</figure>"), f"{name} needs a script"


def test_render__vault_that_says_otherwise__shows_it() -> None:
    result = synthetic_result()
    first, *others = result.positions
    wrong = replace(first, liquidatable_at=(1, *first.liquidatable_at))
    text = Page(render(replace(result, positions=(wrong, *others)))).text
    assert "verdicts, positions by steps: 1 differ" in text


def test_render__nothing_recorded__says_so() -> None:
    keeper = Keeper("0x" + "00" * 20, 0, {}, 0, 0, 0)
    bare = synthetic_result(
        tokens=(),
        steps=(),
        markets=(),
        positions=(),
        liquidations=(),
        keeper=keeper,
        conservation=(),
        checks=(),
        keeper_off=(),
    )
    page = Page(render(bare))
    for name in ("Checks", "Positions", "Markets", "Conservation"):
        assert f"{name}: not recorded" in page.text
    assert "versions, code hash not recorded" in page.text
    assert "nothing to prove" in page.text
    assert "What the engine needs: not recorded" in page.text


def test_render__unknown_market_and_token__shows_raw_units() -> None:
    result = synthetic_result(markets=(), tokens=())
    text = Page(render(result)).text
    assert f"{result.liquidations[0].seized:,} units" in text.replace("\u00a0", " ")


def test_render__liquidation_without_words__proves_nothing() -> None:
    result = synthetic_result()
    bare = tuple(replace(one, words=()) for one in result.liquidations)
    text = Page(render(replace(result, liquidations=bare))).text
    assert "Changed words: not recorded" in text
    assert f"✗ 0 of {len(bare)} liquidations touched one slot" in text, "taken on trust"


def test_embed__text_that_ends_a_script__cannot() -> None:
    assert str(embed({"a": {"b": "</script><!--&"}})) == (
        '{"a":{"b":"\\u003c/script\\u003e\\u003c!--\\u0026"}}'
    )


def test_embed__number_that_is_none__is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed({"a": {"b": float("nan")}})
