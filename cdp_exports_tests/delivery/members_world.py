"""The world of people, with a receiver that holds audiences."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from cdp_exports.delivery.context import Context
from cdp_exports_tests.delivery.audiences import Audiences, identity_of, replaced
from cdp_exports_tests.delivery.crash import DESTINATION_STEPS, LEDGER_STEPS
from cdp_exports_tests.delivery.segment_world import EXPORT, PREDICATE, SEGMENT, Chosen, SegmentWorld
from cdp_exports_tests.delivery.test_any_sequence import Dying
from cdp_exports_tests.delivery.world import World

CONNECTION = {"type": "http", "url": "https://receiver.example", "signing_secret": {"env": "NOT_NEEDED_HERE"}}


@dataclass
class MembersWorld(SegmentWorld):
    connection: Mapping[str, Any] = field(default_factory=lambda: dict(CONNECTION))
    audiences: Audiences = field(default_factory=Audiences)

    @classmethod
    def receiving(cls, folder: Path, audiences: Audiences, chosen: Chosen = PREDICATE, **options: Any) -> MembersWorld:
        """`told_by` decides whether members are told apart by the key or by their address."""
        by_identity = audiences.told_by != ("id",)
        export = {"fail_above": 1, **({"include_key": False} if by_identity else {}), **options.pop("export", {})}
        world = cls.begin(folder, chosen, export=export, **options)
        path = folder / "catalog" / "exports" / f"{EXPORT}.yaml"
        declared = yaml.safe_load(path.read_text())
        del declared["format"]
        for one in declared["fields"]:
            if by_identity and one.get("identity"):
                one["required"] = True
        path.write_text(yaml.safe_dump(declared))
        assert isinstance(world, cls)
        world.__dict__.pop("context", None)
        world.audiences = audiences
        return world

    @cached_property
    def context(self) -> Context:
        return replaced(World.context.func(self), self.audiences)

    @contextmanager
    def dying(self, life: int) -> Generator[None]:
        """The ledger or the state folder is the last thing this process touches, after `life` steps."""
        context, left = self.context, [life]
        state = Dying(context.open_state(), DESTINATION_STEPS, left)
        self.__dict__["context"] = replaced(
            context, self.audiences, ledger=Dying(context.ledger, LEDGER_STEPS, left), open_state=lambda: state
        )
        try:
            yield
        finally:
            self.__dict__["context"] = context

    def release(self) -> None:
        """As if the lease of a run that died had run out."""
        holder = self.ledger.holder("test", EXPORT)
        if holder is not None:
            self.ledger.release(holder)

    @property
    def held(self) -> dict[str, Any]:
        return dict(self.audiences.held.get(SEGMENT, {}))

    def should_hold(self, delivery: Any, **rules: Any) -> dict[str, Any]:
        """By hand-written SQL: values by identity."""
        found: dict[str, Any] = {}
        for key, (email, country, double) in self.truth_of(delivery, **rules).items():
            values = {"EMAIL": email, "country": country, "double": double}
            values |= {"id": key} if self.audiences.told_by == ("id",) else {}
            found[identity_of(values, self.audiences.told_by)] = values
        return found
