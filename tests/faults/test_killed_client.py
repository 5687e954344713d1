"""Our own client is killed in the middle of a part, and never run again. If it is, it goes on: see tests/client."""

import signal
from pathlib import Path

from tests.cli.program import Program, clean_environment
from tests.cli.warm import MODULE
from tests.faults import Hold
from tests.faults.place import Place, of
from tests.faults.sender import LARGE, sender


def test_what_a_client_leaves_that_never_comes_back_goes_in_time(place: Place, tmp_path: Path) -> None:
    (tmp_path / "gone.bin").write_bytes(LARGE)
    hold = Hold(after=1000)
    place.proxy.plan(hold, which=of("PUT", having="partNumber=1"))
    command = [*MODULE, "upload", "gone.bin", "--to", "/Ada", "--parts-above", "1", "--jobs", "1"]
    with place.serving(tmp_path) as service, sender(service) as ada:
        token = place.around.issuer.token("ada")
        environ = {"GRAPHQL_API_URL": f"{service.address}/graphql", "GRAPHQL_API_TOKEN": token}
        with Program(command, tmp_path, cwd=tmp_path, environ=clean_environment(**environ)) as client:
            assert hold.reached.wait(60), client.err
            client.tell(signal.SIGKILL)
            assert client.end() == -signal.SIGKILL
        hold.lose()
        [upload_id] = ada.find("gone.bin", len(LARGE))
        place.require_order()
        seen = ada.look(upload_id)
        assert (seen["status"], seen["parts"]) == ("EXPIRED", [])
