"""What the chain proves about a vault: its words rebuilt from its events alone."""

from ringfence.audit.replay import Replay, ReplayError

__all__ = ["Replay", "ReplayError"]
