"""The views that are held out of training. Pure functions."""

DEFAULT_EVERY = 8  # as 3DGS, gsplat and nerfstudio's COLMAP reader hold out: the views 0, 8, 16 ...


def split(views: int, every: int) -> dict[str, list[int]]:
    """The numbers of the views for train, val and test: one in `every` is for test, and one of each gap for val.

    Without a view for train there would be none to learn from: those for val are for train then.
    """
    if views == 1:
        return {"train": [0], "val": [], "test": []}
    test, val = range(0, views, every), range(every // 2, views, every)
    train = [number for number in range(views) if number not in test and number not in val]
    if not train:  # every second view is for test, or there are only two
        return {"train": list(val), "val": [], "test": list(test)}
    return {"train": train, "val": list(val), "test": list(test)}
