"""The page of a training: who may see it, what it says, and where its links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest

from convlens.lab import Lab
from convlens.lab.following import FollowedRun
from convlens.learn.training.progress import Progress
from convlens.learn.training.reporting import write_report
from convlens.learn.training.validation import validate
from tests.cases.followed_runs import followed, training
from tests.running.serving import TOKEN, served


@dataclass
class Live:
    """A training that still runs, followed by a lab."""

    epochs: Iterator[Progress]
    run: FollowedRun
    lab: Lab
    client: httpx.Client

    def page(self) -> str:
        answer = self.client.get(f"/training?token={TOKEN}")
        assert answer.status_code == 200
        return answer.text


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("<i>&\n") / "run<script>"
    epochs = iter(training(folder, epochs=4))
    next(epochs)
    run = followed(folder)
    lab = Lab(run.open())
    lab.look(run.folder.examples()[0])
    with served(lab, run) as site, site.client(token=None) as client:
        yield Live(epochs, run, lab, client)


@pytest.mark.parametrize("path", ["/training", "/training/stage", "/training/sample"])
@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=%C3%A4&sample=0"])
def test_without_the_token_nothing_is_said(live: Live, path: str, query: str) -> None:
    answer = live.client.get(path + query)
    assert answer.status_code == 401
    assert answer.text == "the token is missing or wrong; open the address printed in the terminal"


def test_another_site_may_not_ask(live: Live) -> None:
    answer = live.client.get(f"/training?token={TOKEN}", headers={"host": "evil.example"})
    assert answer.status_code == 403


def test_the_page_says_where_the_training_is_and_what_is_wrong(live: Live) -> None:
    page = live.page()
    text = unescape(re.sub(r"<[^>]+>", " ", page))
    assert "learns classification from digits. Epochs:" in text
    assert "It is training; this page loads again every 5 s." in text
    assert re.search(r"relu : (3|all 4)[\w ]* channels are 0 for all 359 held-out samples", text)
    assert "They open with the newest checkpoint, of step" in text
    assert '<meta http-equiv="refresh" content="5">' in page


def test_no_text_of_the_data_is_markup_and_nothing_runs(live: Live) -> None:
    page = live.page()
    assert "&lt;b&gt;&amp;conv" in page
    assert "run&lt;script&gt;" in page
    for hostile in ("<b>", "<script", "<i>", " style=", "javascript:", "onload"):
        assert hostile not in page
    answer = live.client.get(f"/training?token={TOKEN}")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_curves_are_drawn_from_the_second_epoch_on(live: Live) -> None:
    assert "Curves begin with the second epoch." in live.page()
    next(live.epochs)
    page = live.page()
    for name in ("loss", "accuracy", "rate"):
        assert f"<h3>{name}</h3><svg" in page


def test_every_link_of_a_layer_leads_to_it_on_the_stage(live: Live) -> None:
    links = [unescape(link) for link in re.findall(r'href="(/training/stage[^"]*)"', live.page())]
    places = set()
    for link in links:
        answer = live.client.get(link)
        assert answer.status_code == 303
        places.add(answer.headers["location"])
    start = f"/#token={TOKEN}&"
    assert places == {
        f"{start}near=network",
        f"{start}at=%3Cb%3E%26conv&near=step",
        f"{start}at=relu&near=step",
        f"{start}at=fc&near=step",
    }
    for path in ("<b>&conv", "relu", "fc"):
        assert live.lab.recording.made(path)


def test_a_sample_is_put_on_the_stage(live: Live) -> None:
    live.client.get(f"/training/stage?token={TOKEN}&sample=3")
    assert live.lab.network()["picture_name"] == "3.npy"
    for none in ("9", "../run", "", "%2e%2e"):
        assert live.client.get(f"/training/stage?token={TOKEN}&sample={none}").status_code == 303
        assert live.lab.network()["picture_name"] == "3.npy"
        assert live.client.get(f"/training/sample?token={TOKEN}&sample={none}").status_code == 404


def test_the_stage_opens_on_the_newest_checkpoint(live: Live) -> None:
    live.client.get("/")
    before = live.run.step
    assert before is not None
    next(live.epochs)
    assert "<title>convlens</title>" in live.client.get("/").text
    assert live.run.step == before + 4
    for path in live.run.folder.checkpoints():
        path.unlink()
    assert live.client.get("/").status_code == 200


def test_a_file_that_cannot_be_read_is_a_sentence(live: Live) -> None:
    live.run.folder.layers.write_text("[]\n")
    answer = live.client.get(f"/training?token={TOKEN}")
    assert answer.status_code == 400
    assert "must be a record of layers" in answer.text


def test_the_styles_are_served_to_all(live: Live) -> None:
    answer = live.client.get("/training.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert ".faults" in answer.text
    assert ".values" in answer.text


def test_a_mistake_in_the_report_is_put_on_the_stage(tmp_path: Path) -> None:
    list(training(tmp_path / "run", epochs=1))
    run = followed(tmp_path / "run", newest=False)
    lab = Lab(run.open())
    with served(lab, run) as site, site.client(token=None) as client:
        assert "The report" not in client.get(f"/training?token={TOKEN}").text
        assert client.get(f"/report/{TOKEN}/").status_code == 404
        write_report(validate(tmp_path / "run"))
        said = client.get(f"/training?token={TOKEN}").text
        assert f'<a href="/report/{TOKEN}/">The report</a>' in said
        answer = client.get(f"/report/{TOKEN}/")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline';")
        link = re.findall(r'<figure><a href="([^"]*)">', answer.text)[1]
        opened = client.get(f"/report/{TOKEN}/{link}")
        assert (opened.status_code, opened.headers["location"]) == (
            303,
            f"/#token={TOKEN}&near=network",
        )
        assert lab.network()["picture_name"] == link
        for none in ("index.html", "none.png", "..%2Frun.json", "%2e%2e"):
            assert client.get(f"/report/{TOKEN}/{none}").status_code in (401, 404)
        assert lab.network()["picture_name"] == link
        for path in ("/report/wrong/", f"/report/wrong/{link}", f"/report/%C3%A4/{link}"):
            assert client.get(path).status_code == 401


def test_a_training_that_ended_is_not_loaded_again(tmp_path: Path) -> None:
    list(training(tmp_path / "run", epochs=1))
    run = followed(tmp_path / "run", newest=False)
    with served(Lab(run.open()), run) as site, site.client(token=None) as client:
        page = client.get(f"/training?token={TOKEN}").text
    assert "refresh" not in page
    assert "It is not training now." in page
    assert "They open with the weights that the lab was started with." in page


def test_a_lab_of_no_training_has_no_such_page(client: httpx.Client) -> None:
    assert client.get(f"/training?token={TOKEN}").status_code == 404
