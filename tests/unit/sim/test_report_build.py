"""What a run was made with, from the record of its deployment."""

from importlib.metadata import version
from platform import python_version

from ringfence import __version__
from ringfence.deploy import Entry, Record
from ringfence.sim.build import build_of

BLUEPRINT = Entry(
    contract="MarginVault",
    address="0x5FC8d32690cc91D4c39d9d3abcBD16989F875707",
    tx_hash="0x" + "01" * 32,
    block=6,
    arguments={},
    code_hash="0x" + "5e" * 32,
    source_commit="0123456789abcdef0123456789abcdef01234567",
    blueprint=True,
)


def test_build_of__record_with_blueprint__names_its_code_and_source() -> None:
    record = Record(chain_id=31_337, contracts={"blueprint": BLUEPRINT})
    assert build_of(record, "anvil/v1.7.1") == {
        "ringfence": __version__,
        "python": python_version(),
        "vyper": version("vyper"),
        "node": "anvil/v1.7.1",
        "source": "0123456789",
        "vault blueprint": BLUEPRINT.code_hash,
    }


def test_build_of__empty_record__leaves_out_what_it_cannot_tell() -> None:
    assert list(build_of(Record(chain_id=31_337), "anvil")) == [
        "ringfence",
        "python",
        "vyper",
        "node",
    ]
