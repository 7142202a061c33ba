"""Tasks on a Dask cluster: a scheduler's address, and what its failures mean."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from dataclasses import dataclass

from distributed import Client, KilledWorker
from distributed.cfexecutor import ClientExecutor
from distributed.comm.core import CommClosedError

from ringfence.risk.errors import RiskError


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers of a Dask scheduler, which have this package; `patience` in seconds."""

    address: str
    patience: float = 5.0

    @property
    def broken(self) -> tuple[type[BaseException], ...]:
        """A task that killed several workers, and a connection that is gone."""
        return (KilledWorker, CancelledError, CommClosedError)

    @contextmanager
    def open(self) -> Iterator[Executor]:
        """Yield the cluster's executor; raise RiskError without scheduler or workers."""
        try:
            client = Client(  # type: ignore[no-untyped-call]
                self.address, timeout=self.patience, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise RiskError(
                f"no Dask scheduler answers at {self.address} within {self.patience:.0f} s; start "
                "one with `dask scheduler`, or leave --scheduler out to work on this machine"
            ) from error
        with client:
            executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
            self.check(executor)
            try:
                yield executor
            finally:
                executor.shutdown(wait=False)

    def check(self, executor: Executor) -> None:
        """Raise RiskError where the scheduler has no worker."""
        if isinstance(executor, ClientExecutor) and not executor._client.nthreads():
            raise RiskError(
                f"the Dask scheduler at {self.address} has no worker; start one with `dask worker "
                f"{self.address}` and run it again, finished work is kept where --cache is given"
            )
