"""When environments are so quick that hearing each of their steps would cost a user time: the watch rests."""

__all__ = ["HEARD_FIRST", "LEAST_SHARE", "MOST_SHARE", "rests"]

HEARD_FIRST = 15_000
"""Steps of environments that are heard in any case."""

MOST_SHARE, LEAST_SHARE = 0.03, 0.02
"""Where sensors took more than this share of the time, environments are not heard until it is this one."""


def rests(resting: bool, heard: int, share: float) -> bool:
    """Return whether the steps that come now are left out.

    Args:
        resting: Whether those before were.
        heard: Steps that were heard.
        share: Of the time, what sensors took.
    """
    return heard >= HEARD_FIRST and share > (LEAST_SHARE if resting else MOST_SHARE)
