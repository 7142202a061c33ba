"""The simulations' keeper against the real keeper's planner, on one chain."""

from __future__ import annotations

from pathlib import Path

from ringfence.evm.anvil import launch
from ringfence.evm.rpc import JsonRpc
from ringfence.sim.agents.keeper import KeeperAgent
from ringfence.sim.keeper import KEEPER, ScenarioKeeper
from ringfence.sim.scenario import load_scenario
from ringfence.sim.simulation import prepare
from tests.support.simulated import write


def test_look__after_a_fall__is_what_the_real_keeper_would_send(tmp_path: Path) -> None:
    prices = [2_000.0, 1_700.0]
    more = """
[[positions]]
account = "other"
market = "weth-usdc-conservative"
at = 0
margin = 5
leverage = 4.2

[[markets]]
id = "weth-usdc-high-leverage"
lenders = [{ account = "lender-1", amount = 100_000 }]

[[positions]]
account = "other"
market = "weth-usdc-high-leverage"
at = 0
margin = 5
leverage = 6
"""  # The second vault's sale goes on where the first one's leaves the pool.
    scenario = load_scenario(write(tmp_path, prices, more=more))
    with launch(history=10_000) as engine:
        simulation = prepare(engine, scenario, 1, tmp_path, keepers=False)
        for index in range(len(prices)):
            simulation.play_step(index)
        stage, rpc = simulation.stage, JsonRpc(engine.url)
        agent = KeeperAgent(stage, KEEPER, scenario.keeper)
        batches = agent.look(simulation.due())
        with ScenarioKeeper.on(stage, scenario, rpc) as real:
            bids = real.look()
        rpc.close()
        sent = [stage.liquidator.liquidate_batch.encode(*agent.order(one)) for one in batches]
    assert len(sent) == 3
    assert sent == [bid.data for bid in bids]
