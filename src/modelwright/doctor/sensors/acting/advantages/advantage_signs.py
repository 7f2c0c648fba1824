"""The sign with which rewards and values enter what a policy learns from."""

from collections.abc import Callable, Iterator

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.advantages.advantage_record import AdvantageRecord
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Scene

__all__ = ["wrong_signs"]

_ENOUGH = 2


def wrong_signs(
    scene: Scene, record: AdvantageRecord, place: Callable[[str], Place | None]
) -> Iterator[Finding]:
    """Yield what is turned round in most updates that a way fits.

    Args:
        scene: What all sensors know.
        record: Of advantages.
        place: Returns where a fault is.
    """
    for count, fault, title in (
        (record.against, "policy-loss-sign", "The policy's loss makes actions that did well less likely."),
        (record.rewards_against, "reward-sign-flipped", "Rewards enter advantages with the wrong sign."),
    ):
        if fault == "policy-loss-sign" and (scene.maximizes or scene.place_of("ratio inverted")):
            continue  # that is why
        if count >= _ENOUGH and count >= 0.8 * record.signed:
            yield Finding(
                kind=fault,
                severity=Severity.SEVERE,
                title=title,
                evidence={"updates": record.signed, "updates_with_the_wrong_sign": count},
                causes=(cause(fault, place(fault)),),
                next_check="the slope of the loss in an action's log-probability is minus its advantage",
            )
