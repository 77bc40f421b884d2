"""The rule of splits.sql once more, in plain Python, as slow as it likes."""

import hashlib
import math
from collections import Counter, defaultdict


def lot(*parts):
    return hashlib.md5(":".join(map(str, parts)).encode()).hexdigest()[:12]


def split(rows, rule):
    """Splits photographs.

    Args:
        rows: (photo, observation, observer, taxon).
        rule: a `Rule`.

    Returns:
        The classes, the split by taxon and observer, and the taxon and the part by photograph.
    """
    claims = defaultdict(set)
    for photo, _, observer, taxon in rows:
        claims[photo].add((taxon, observer))
    owner = {
        photo: min(pairs, key=lambda pair, photo=photo: (lot(rule.seed, photo, *pair), *pair))
        for photo, pairs in claims.items()
        if len(pairs) == 1 or rule.shared_photographs == "draw"
    }
    observations, photographs = defaultdict(set), Counter()
    for photo, observation, observer, taxon in rows:
        if owner.get(photo) == (taxon, observer):
            observations[taxon, observer].add(observation)
    for pair in owner.values():
        photographs[pair] += 1
    observers = defaultdict(list)
    for taxon, observer in observations:
        observers[taxon].append(observer)
    classes = {
        taxon
        for taxon, found in observers.items()
        if len(found) >= rule.min_observers
        and sum(len(observations[taxon, o]) for o in found) >= rule.min_observations
    }
    places = {}
    for taxon in classes:
        in_order = sorted(
            observers[taxon],
            key=lambda o, taxon=taxon: (
                len(observations[taxon, o]),
                photographs[taxon, o] if rule.ties == "photographs" else 0,
                str(o) if rule.ties == "observer" else lot(rule.seed, taxon, o),
            ),
        )
        exact = round(rule.test_share * len(in_order), 9)
        first = {"nearest": math.floor(exact + 0.5), "down": math.floor(exact)}.get(
            rule.rounding, math.ceil(exact)
        )
        rest = in_order[first:]
        available = sum(photographs[taxon, o] for o in rest)
        in_val = 0
        for o in in_order[:first]:
            places[taxon, o] = "test"
        is_val = True
        for o in rest:
            is_val = is_val and (
                in_val <= rule.max_val_photographs
                and in_val < round(rule.val_share * available, 9)
                and o != rest[-1]
            )
            places[taxon, o] = "val" if is_val else "train"
            in_val += photographs[taxon, o] if is_val else 0
    parts = {photo: (pair[0], places.get(pair, "unseen")) for photo, pair in owner.items()}
    test = sorted(
        (lot(rule.seed, "test", p), p) for p, (_, part) in parts.items() if part == "test"
    )
    drawn = {photo for _, photo in test[: rule.test_images]}
    for _, photo in test:
        taxon, observer = owner[photo]
        who = observer if rule.private_by == "observer" else photo
        private = int(lot(rule.seed, "private", who), 16) < rule.private_share * 16**12
        part = "test_private" if private else "test_public"
        if not rule.private_share:
            part = "test"
        parts[photo] = taxon, part if photo in drawn else "test_reserve"
    if not rule.unseen:
        parts = {photo: entry for photo, entry in parts.items() if entry[1] != "unseen"}
    return classes, places, parts
