from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from gateway.transport import runner_behind_door


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        pytest.param(ValueError("s3cret"), 1, id="a bug"),
        pytest.param(web.RequestPayloadError("s3cret"), 0, id="a malformed body"),
        pytest.param(ConnectionResetError("s3cret"), 0, id="a lost connection"),
    ],
)
async def test_an_exception_is_logged_without_its_text(
    error: Exception, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_request: web.Request) -> web.Response:
        raise error

    app = web.Application()
    app.router.add_get("/", fail)
    runner = runner_behind_door(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            async with session.get(url) as answer:
                assert "s3cret" not in await answer.text()
    finally:
        await runner.cleanup()
    assert len(caplog.records) == lines
    assert "s3cret" not in caplog.text
    assert all("ValueError" in caplog.text and "in fail" in caplog.text for _ in range(lines))
