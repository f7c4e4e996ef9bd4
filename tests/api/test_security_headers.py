"""Headers for browsers on every response, and the page /docs, which loads nothing from other hosts."""

import re
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from api.reference_page import FOLDER, TYPES
from api.security_headers import SECURITY_HEADERS
from farm.db import renders
from tests.support.api import assert_error, uploaded

PAGES = ["/v1/health", "/v1/account", "/v1/nothing", "/metrics", "/docs", "/docs/start.js", "/docs/x", "/openapi.json"]
PAGES += ["/guides", "/guides/client", "/guides/nothing"]


class TestHeaders:
    @pytest.mark.parametrize("path", PAGES)
    def test_are_in_every_response(self, api: TestClient, path: str) -> None:
        for method in ("GET", "POST", "HEAD", "OPTIONS"):
            headers = api.request(method, path).headers
            assert headers["content-security-policy"].startswith("default-src 'none';")
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            others = SECURITY_HEADERS.keys() - {"Content-Security-Policy"}
            assert {name: headers[name] for name in others} == {name: SECURITY_HEADERS[name] for name in others}

    def test_are_in_the_response_to_an_unexpected_error(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(renders, "detail", fail)
        answer = api.get("/v1/renders/Xz7pQ4w8nR2k")
        assert answer.status_code == 500
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS

    def test_let_other_hosts_show_files(self, api: TestClient) -> None:
        model = uploaded(api)["modelId"]
        answer = api.get(f"/v1/models/{model}/file")
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"


class TestReferencePage:
    def test_loads_only_files_of_this_host(self, public_api: TestClient) -> None:
        page = public_api.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        addresses = re.findall(r'(?:src|<link .*href)="([^"]*)"', page.text)
        assert len(addresses) == len(TYPES)
        for address in addresses:
            assert urljoin("http://farm/docs", address).startswith("http://farm/docs/")
            assert public_api.get(address).status_code == 200

    def test_leads_to_the_guides_and_the_portal(self, public_api: TestClient) -> None:
        assert {"/guides", "/portal"} <= set(re.findall(r'<a href="([^"]*)"', public_api.get("/docs").text))

    def test_has_no_script_or_style_of_its_own(self, public_api: TestClient) -> None:
        page = public_api.get("/docs").text
        assert re.findall(r"<script[^>]*>([^<]+)</script>", page) == []
        assert "<style" not in page
        assert not re.search(r"\bon\w+=|style=", page)

    def test_sends_its_document_to_no_validator(self, public_api: TestClient) -> None:
        script = public_api.get("/docs/start.js").text
        assert "validatorUrl: null" in script
        assert 'url: "/openapi.json"' in script
        assert "http" not in script

    def test_style_sheet_loads_nothing(self, public_api: TestClient) -> None:
        loaded = re.findall(r"url\(([^)]{0,40})", public_api.get("/docs/swagger-ui.css").text)
        assert loaded
        assert [address for address in loaded if not address.strip("\"'").startswith("data:")] == []

    @pytest.mark.parametrize("name", ["LICENSE", "README.md", "..%2fapp.py", "x"])
    def test_serves_no_other_file(self, public_api: TestClient, name: str) -> None:
        assert_error(public_api.get(f"/docs/{name}"), "not_found", 404)

    def test_keeps_the_licence_and_version_of_its_files(self) -> None:
        assert "Apache License" in (FOLDER / "LICENSE").read_text()
        assert "SmartBear" in (FOLDER / "NOTICE").read_text()
        [version] = re.findall(r"swagger-ui-dist (\d+\.\d+\.\d+)", (FOLDER / "README.md").read_text())
        assert f'"{version}"' in (FOLDER / "swagger-ui-bundle.js").read_text()
