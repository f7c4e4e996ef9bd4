"""The views that are held out of training. Pure functions."""

DEFAULT_EVERY = 8  # as 3DGS, gsplat and nerfstudio's COLMAP reader hold out: the views 0, 8, 16 ...


def split(views: int, every: int) -> dict[str, list[int]]:
    """The numbers of the views for train, val and test: one in `every` is for test, and one of each gap for val."""
    test = range(0, views, every)
    val = range(every // 2, views, every)
    return {
        "train": [number for number in range(views) if number not in test and number not in val],
        "val": list(val),
        "test": list(test),
    }
