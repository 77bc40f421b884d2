"""The tables of the study as Markdown, with what must be known to read them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.granularity_gap import table
from benchmarks.granularity_gap.effects import Effect, Numbers

_SHOWN_MOST = ("1", "10", "100", "300")


def in_markdown(numbers: Numbers, rows: Sequence[Effect]) -> str:
    """The table of effects, and those of proposals and of all readings.

    Args:
        numbers: of all trainings.
        rows: of `effects.all_effects`.
    """
    about, study = numbers.about, numbers.study
    seeds = sorted({seed for seed, _ in numbers.runs})
    parts = [
        f"# What the {study.fine} model loses at coarser levels",
        f"{len(numbers.runs)} trainings from the seeds {', '.join(map(str, seeds))}, evaluated on "
        f"{about['images']:,} images. AP in percent, effects in percent points, with 95% intervals "
        "over other images and other seeds (with one run, over other images alone). p is adjusted "
        "for all changes at a level (Holm); those of the gap are not. `runs` is how many seeds "
        "both sides have; `left`, how far the model trained at the level is ahead of the changed "
        "one, and `of both`, how far one trained there with the same change is.",
        table.short_table_of(rows).markdown(),
        "What the variants change:",
        "\n".join(
            f"- `{variant.name}` ({variant.cause}): {variant.what}; read by `{variant.read}`, "
            f"compared with the unchanged model read by `{variant.over}` [{variant.source}]"
            for variant in study.variants
        ),
    ]
    if proposals := _proposals(numbers):
        parts += ["## Recall of proposals", *proposals]
    parts += [
        "## Every training, as it is read",
        "AP, and the expected calibration error of the scores of all detections of a level "
        "together; both in percent.",
        table.readings_table(numbers).markdown(),
    ]
    return "\n\n".join(parts) + "\n"


def _proposals(numbers: Numbers) -> list[str]:
    every = table.proposal_table(numbers)
    if not every.rows:
        return []
    shown = []
    for row in every.rows:
        measure, size, most, model, runs, value, low, high, change, least, greatest, p = row
        if size != "all" or most not in _SHOWN_MOST:
            continue
        own = change != change  # the fine model's own row has no difference
        shown.append(
            (
                measure,
                most,
                model,
                runs,
                f"{value:.1f} ± {(high - low) / 2:.1f}",
                "-" if own else f"{change:+.1f} ± {(greatest - least) / 2:.1f}",
                "-" if p != p else f"{p:.3f}",
            )
        )
    heading = ("measure", "most", "trained_on", "runs", "recall", "difference", "p")
    return [
        "Percent of the true boxes among an image's best proposals; `difference` is that from the "
        f"{numbers.study.fine} model's, p adjusted for all of them. Sizes are in proposals.csv.",
        table.Table(heading, tuple(shown)).markdown(),
    ]
