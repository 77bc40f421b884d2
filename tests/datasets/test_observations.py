"""Archives and tables of the same observations, and what is wrong with others."""

import csv
import gzip
import json
import os
import shutil
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from benchmarks.observations import (
    Taxon,
    invent,
    shuffled,
    write_darwin_core,
    write_open_data,
    write_table,
)
from inatdet.datasets import observations
from inatdet.datasets.construction import OUTPUT_FILES, construct
from inatdet.datasets.database import open_database
from inatdet.datasets.lineages import SUPER_CLASSES, Subspecies
from inatdet.datasets.splits import FilterLicenses, Rule
from inatdet.errors import InputError
from tests.datasets.rule_by_hand import split

SMALL = Rule(test_images=60)


@pytest.fixture(scope="module")
def world():
    return invent()


@pytest.fixture(scope="module")
def archives(world, tmp_path_factory):
    """The same observations in three forms, by name."""
    folder = tmp_path_factory.mktemp("archives")
    write_open_data(folder / "open_data", world)
    write_darwin_core(folder / "darwin_core", world)
    write_table(folder / "table.csv", world)
    return {name: str(folder / name) for name in ("open_data", "darwin_core", "table.csv")}


def made(path, folder, rule=SMALL, taxa=None):
    """Constructs a dataset; returns what was made and the content of its files."""
    folder.mkdir()
    with open_database(0.5, 1, folder) as database:
        source = observations.gather(database, str(path), str(folder / "work"), taxa)
        done = construct(database, source, rule, folder)
    written = set(os.listdir(folder)) - {"work"}
    assert written <= set(OUTPUT_FILES)  # and nothing is left behind
    texts = {name: (folder / name).read_text("utf-8") for name in written}
    return done, {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}


@pytest.fixture(scope="module")
def datasets(archives, tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    return {name: made(path, folder / name) for name, path in archives.items()}


@pytest.fixture(scope="module")
def dataset(datasets):
    return datasets["open_data"]


def test_every_form_gives_the_same_splits(datasets):
    def essence(files):
        return {
            name: (
                [(image["id"], image["file_name"]) for image in content["images"]],
                content.get("annotations"),
                content["categories"],
            )
            for name, content in files.items()
            if name != "summary.json"
        }

    one, *others = (essence(files) for _, files in datasets.values())
    assert others == [one, one]
    assert len(one) == 8


def test_the_splits_are_those_of_the_rule(world, dataset):
    """The paper's rule in plain Python, on what may be a class."""
    allowed = {
        taxon.id for taxon in world.taxa
        if taxon.is_active and any(above.id in SUPER_CLASSES for above in taxon.line)
        and taxon.rank in ("genus", "species", "hybrid", "subspecies")
    }  # fmt: skip
    rows = [
        (picture.id, seen.id, seen.observer.login, seen.taxon.id)
        for seen in world.observations
        if seen.grade == "research" and seen.taxon.id in allowed
        for picture in seen.photographs
    ]
    classes, _, parts = split(rows, SMALL)
    done, files = dataset
    expected = Counter(part for _, part in parts.values())
    found = {step.name: step.photographs for step in done.steps}
    for part in ("train", "val", "test_public", "test_private", "test_reserve"):
        name = f"{part}_labels.json" if part in ("test_public", "test_private") else f"{part}.json"
        taxon_of = {category["id"]: category["taxon_id"] for category in files[name]["categories"]}
        assert {
            annotation["image_id"]: (taxon_of[annotation["category_id"]], part)
            for annotation in files[name]["annotations"]
        } == {photo: entry for photo, entry in parts.items() if entry[1] == part}
        assert found[part] == expected[part] == len(files[name]["images"]) > 0
    assert {c["taxon_id"] for c in files["train.json"]["categories"]} == classes


def test_categories_have_all_ranks_and_the_super_class(world, dataset):
    taxa = {taxon.id: taxon for taxon in world.taxa}
    _, files = dataset
    for name in ("train.json", "unseen.json"):
        for category in files[name]["categories"]:
            taxon: Taxon = taxa[category["taxon_id"]]
            line = (*taxon.line, taxon)
            for rank in ("kingdom", "phylum", "class", "family", "genus"):
                assert category[rank] == next(t.name for t in line if t.rank == rank)
            assert category["name"] == taxon.name
            nearest = [SUPER_CLASSES[t.id] for t in line if t.id in SUPER_CLASSES][-1]
            assert category["supercategory"] == nearest
    ids = [c["id"] for name in ("train.json", "unseen.json") for c in files[name]["categories"]]
    assert ids == list(range(len(ids)))
    assert files["val.json"]["categories"] == files["train.json"]["categories"]


def test_images_have_size_license_holder_and_observer(world, dataset):
    pictures, holders, logins = {}, defaultdict(set), defaultdict(set)
    for seen in world.observations:
        for picture in seen.photographs:
            pictures[picture.id] = picture
            holders[picture.id].add(seen.observer.name or seen.observer.login)
            logins[picture.id].add(seen.observer.login)
    content = dataset[1]["train.json"]
    names = {entry["id"]: entry["name"] for entry in content["licenses"]}
    assert content["images"]
    for image in content["images"]:
        picture = pictures[image["id"]]
        assert (image["width"], image["height"]) == (picture.width, picture.height)
        license_name = names[image["license"]].upper().replace("CC BY", "CC-BY")
        assert license_name.removesuffix(" 1.0") == picture.license
        assert image["rights_holder"] in holders[picture.id]
        assert image["observer"] in logins[picture.id]


def test_the_test_files_do_not_tell(dataset):
    _, files = dataset
    for part in ("test_public", "test_private"):
        told = files[f"{part}_labels.json"]
        assert "annotations" not in files[f"{part}.json"]
        assert files[f"{part}.json"]["images"] == told["images"]
        for image in told["images"]:
            assert image["file_name"] == f"test_images/{image['id']}.jpg"


def test_no_picture_is_in_two_files(dataset):
    _, files = dataset
    seen = Counter(
        image["id"]
        for name, content in files.items()
        if "annotations" in content
        for image in content["images"]
    )
    assert set(seen.values()) == {1}


def test_unseen_taxa_are_strangers_to_the_classes(world, dataset):
    taxa = {taxon.id: taxon for taxon in world.taxa}
    _, files = dataset
    classes = {c["taxon_id"] for c in files["train.json"]["categories"]}
    above_classes = {above.id for taxon in classes for above in taxa[taxon].line}
    species = {t for t in classes | above_classes if taxa[t].rank in ("species", "hybrid")}
    unseen = {c["taxon_id"] for c in files["unseen.json"]["categories"]}
    assert unseen
    for taxon in unseen:
        assert taxon not in above_classes | classes
        assert not {above.id for above in taxa[taxon].line} & (classes | species)


def test_the_order_of_rows_changes_nothing(world, datasets, tmp_path):
    write_open_data(tmp_path / "archive", shuffled(world, 1))
    _, files = made(tmp_path / "archive", tmp_path / "out")
    assert files == datasets["open_data"][1]


@pytest.mark.slow
def test_subspecies_are_rolled_up_in_every_form(world, archives, tmp_path):
    rule = Rule(subspecies=Subspecies.ROLL_UP)
    found = {}
    for name, path in archives.items():
        _, files = made(path, tmp_path / name, rule)
        ranks = {category["rank"] for category in files["train.json"]["categories"]}
        assert "subspecies" not in ranks
        found[name] = (
            [(c["name"], c["supercategory"]) for c in files["train.json"]["categories"]],
            len(files["train.json"]["images"]) + len(files["val.json"]["images"]),
        )
    assert found["open_data"] == found["darwin_core"] == found["table.csv"]


@pytest.mark.slow
def test_licenses_before_and_after_counting(archives, tmp_path):
    only = {"licenses": ("cc0", "CC-BY")}
    before, files = made(archives["open_data"], tmp_path / "before", Rule(**only))
    assert before.left_out["other license"] > 0
    every, _ = made(archives["open_data"], tmp_path / "every", Rule())
    rule = Rule(filter_licenses=FilterLicenses.AFTER, **only)
    after, later = made(archives["open_data"], tmp_path / "after", rule)
    assert "other license" not in after.left_out
    assert after.steps[1] == every.steps[1]  # they count
    assert before.steps[1].photographs < every.steps[1].photographs
    for content in (files, later):
        assert {entry["name"] for entry in content["train.json"]["licenses"]} == {
            "CC0 1.0", "CC BY",
        }  # fmt: skip
        assert all("license" in image for image in content["train.json"]["images"])


def test_the_summary_accounts_for_every_photograph(dataset):
    done, files = dataset
    steps = {step.name: step for step in done.steps}
    repeats = 0  # rows of photographs that are in several observations
    assert files["summary.json"]["rule"]["min_observers"] == 20
    assert files["summary.json"]["steps"] == [vars(step) for step in done.steps]
    left = steps["given"].photographs - sum(done.left_out.values())
    repeats = left - steps["counted"].photographs
    assert 0 < repeats <= 40
    of_classes = sum(
        s.photographs for n, s in steps.items() if n.startswith(("train", "val", "test"))
    )
    assert of_classes == steps["classes"].photographs
    assert done.files["train.json"] == steps["train"].photographs


def test_tables_are_made_once(archives, tmp_path):
    said = []
    for _ in range(2):
        with open_database(0.5, 1, tmp_path) as database:
            observations.gather(
                database, archives["open_data"], str(tmp_path / "work"), notify=said.append
            )
    assert said == [f"{tmp_path}/work: has the tables of these observations already"]
    copy = tmp_path / "copy"
    shutil.copytree(archives["open_data"], copy)
    with open_database(0.5, 1, tmp_path) as database:
        observations.gather(database, str(copy), str(tmp_path / "work"), notify=said.append)
    assert len(said) == 1


def rewritten(source, folder, change):
    """A copy of a gzipped table whose text is changed."""
    text = gzip.decompress(source.read_bytes()).decode()
    (folder / source.name).write_bytes(gzip.compress(change(text).encode()))


@pytest.fixture
def archive(archives, tmp_path):
    shutil.copytree(archives["open_data"], tmp_path / "archive")
    return tmp_path / "archive"


def refused(path, tmp_path, taxa=None):
    def run():
        with open_database(0.5, 1, tmp_path) as database:
            source = observations.gather(database, str(path), str(tmp_path / "work"), taxa)
            construct(database, source, Rule(), tmp_path / "out")

    with pytest.raises(InputError) as error:
        run()
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("photos", lambda t: t.replace("observation_uuid", "uuid", 1),
         "photos.csv.gz: has no column observation_uuid, only photo_uuid, photo_id, uuid"),
        ("taxa", lambda t: t.replace("taxon_id", "Taxon ID", 1), "perhaps Taxon ID is meant"),
        ("photos", lambda t: t.replace("\t", ","), "is separated by commas, but tabs are expected"),
        ("observers", lambda t: t.replace("\t", "", 3).replace("\n", "\t\n", 1), "has no column"),
        ("observations", lambda t: t.replace("\t100\t", "\tone\t", 1),
         'converting column "observer_id"'),
        ("photos", lambda t: "", "its first line does not name columns"),
        ("observers", lambda t: t + "7\tlonely\n", "Expected Number of Columns: 3 Found: 2"),
    ],
)  # fmt: skip
def test_tables_that_are_refused(archive, tmp_path, table, change, words):
    rewritten(archive / f"{table}.csv.gz", archive, change)
    assert words in refused(archive, tmp_path)


def test_a_damaged_archive_is_told_from_a_bad_table(archive, tmp_path):
    path = archive / "photos.csv.gz"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "photos.csv.gz: is damaged or cut off" in refused(archive, tmp_path)
    path.write_bytes(data[:-8] + bytes(8))  # the check sum at the end
    assert "photos.csv.gz: is damaged or cut off" in refused(archive, tmp_path)
    path.write_text("photo_id\n")
    assert "photos.csv.gz: is damaged or cut off" in refused(archive, tmp_path)


def test_what_is_no_archive(archive, archives, tmp_path):
    (archive / "taxa.csv.gz").unlink()
    assert "has no taxa.csv.gz" in refused(archive, tmp_path)
    assert "--observations=nowhere: is not there" in refused("nowhere", tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has neither photos.csv.gz" in refused(empty, tmp_path)
    bundle = tmp_path / "bundle.tar.gz"
    bundle.write_bytes(b"")
    assert "is an archive; unpack it" in refused(bundle, tmp_path)
    assert "leave the flag out" in refused(archives["open_data"], tmp_path, taxa="taxa.csv")


def meta_changed(archives, tmp_path, *pairs):
    folder = tmp_path / "darwin_core"
    shutil.copytree(archives["darwin_core"], folder)
    text = (folder / "meta.xml").read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (folder / "meta.xml").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("http://xmlns.com/foaf/0.1/nick", "http://example.org/x", "is a display name"),
        ("terms/1.0/Multimedia", "terms/1.0/Other", "describes no table of media"),
        ("terms/scientificName", "terms/other", "has no column scientificName"),
        ("media.csv", "../media.csv", "in another folder"),
        ("index=\"3\"", "index=\"300\"", "columns, but meta.xml describes 301"),
        ("<archive", "<other", "is not valid XML"),
    ],
)  # fmt: skip
def test_darwin_core_archives_that_are_refused(archives, tmp_path, old, new, words):
    assert words in refused(meta_changed(archives, tmp_path, (old, new)), tmp_path)


@pytest.mark.slow
def test_columns_are_found_by_meta_xml_alone(archives, datasets, tmp_path):
    """Other titles, another delimiter and no header."""
    folder = meta_changed(
        archives, tmp_path, ('fieldsTerminatedBy=","', 'fieldsTerminatedBy="\\t"'),
        ('ignoreHeaderLines="1"', 'ignoreHeaderLines="0"'),
    )  # fmt: skip
    for name in ("observations.csv", "media.csv"):
        with open(folder / name, encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))[1:]
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t").writerows(lines)
    done, _ = made(folder, tmp_path / "out")
    assert done.steps == datasets["darwin_core"][0].steps


def write_rows(path, header, *lines):
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


def test_tables_of_ones_own_that_are_refused(tmp_path):
    path = tmp_path / "mine.csv"
    write_rows(path, "photo,observation,observer", "1,1,ann")
    assert "has no column taxon" in refused(path, tmp_path)
    write_rows(path, "photo,observation,observer,taxon", "1,1,ann,Pica")
    assert "has neither kingdom nor supercategory" in refused(path, tmp_path)
    write_rows(path, "photo,observation,observer,taxon,kingdom", "a.jpg,1,ann,Pica,Animalia")
    assert "1 rows have no whole number as photo, such as 'a.jpg'" in refused(path, tmp_path)
    write_rows(path, "photo,observation,observer,taxon,kingdom", "1,1,ann,Pica,Animalia")
    assert "no taxon has at least 20 observations by at least 20" in refused(path, tmp_path)
    write_rows(path, "photo,observation,observer,taxon,kingdom", "1,1,ann,Nostoc,Bacteria")
    assert "taxon without a super-class (1)" in refused(path, tmp_path)
    write_rows(path, "photo,observation,observer,taxon,kingdom")
    assert "is left to count: it is empty" in refused(path, tmp_path)
    write_rows(path, "photo,observation,observer,taxon,kingdom", '1,1,an"n,Pica,"Animalia', "2")
    assert "mine.csv" in refused(path, tmp_path)


@pytest.mark.slow
def test_a_table_of_taxa_beside_the_observations(archives, datasets, world, tmp_path):
    path = tmp_path / "mine.csv"
    lines = [
        f"{picture.id};{seen.id};{seen.observer.login};{seen.taxon.id}"
        for seen in world.observations if seen.grade == "research"
        for picture in seen.photographs
    ]  # fmt: skip
    write_rows(path, "photo_id;observation_id;observer_id;taxon_id", *lines)
    lines = [
        f"{taxon.id},{taxon.name},{taxon.rank},"
        + [SUPER_CLASSES.get(t.id, "") for t in (*taxon.line, taxon) if t.id in SUPER_CLASSES][-1]
        for taxon in world.taxa
        if any(t.id in SUPER_CLASSES for t in (*taxon.line, taxon))
    ]
    taxa = write_rows(tmp_path / "taxa.csv", "taxon_id,name,rank,supercategory", *lines)
    done, _ = made(path, tmp_path / "out", taxa=str(taxa))
    steps = {step.name: step for step in datasets["open_data"][0].steps}
    assert {step.name: step for step in done.steps if step.name not in ("given", "unseen")} == {
        name: step for name, step in steps.items() if name not in ("given", "unseen")
    }
    assert done.left_out == {"its taxon is not listed": 229}
    # The same as Parquet, in which ids are numbers.
    table = pa.csv.read_csv(path, parse_options=pa.csv.ParseOptions(delimiter=";"))
    pq.write_table(table, tmp_path / "mine.parquet")
    again, _ = made(tmp_path / "mine.parquet", tmp_path / "again", taxa=str(taxa))
    assert (again.steps, again.left_out) == (done.steps, done.left_out)


def test_notes(tmp_path):
    """Each speaks on its case; on another one, none does."""
    header = "photo,observation,observer,taxon,name,kingdom"
    path = write_rows(
        tmp_path / "quiet.csv", header, *(f"{i},{i},o{i},1,Pica pica,Animalia" for i in range(40))
    )
    done, _ = made(path, tmp_path / "quiet", Rule())
    assert done.notes == ()
    assert [step.photographs for step in done.steps[:4]] == [40, 40, 40, 16]

    lines = [f"{i},{i},o{i},1,Pica {'pica' if i else 'alba'},Animalia" for i in range(20)]
    lines += [f"{100 + i},{100 + i},o99,1,Pica pica,Animalia" for i in range(500)]
    lines += ["0,99,o99,1,Pica pica,Animalia"]  # a picture of the first one's
    path = write_rows(tmp_path / "loud.csv", header, *lines)
    done, _ = made(path, tmp_path / "loud", Rule(test_images=100, seed=1))
    said = "; ".join(done.notes)
    for words in (
        "1 taxa have several names",
        "of 1 classes, the last observer stays in train",
        "1 photographs are in several observations and count once; of 1, which have several",
        "there are no more than --test_images=100 test images",
    ):
        assert words in said
    assert len(done.notes) == 4

    rule = Rule(licenses=("cc0",), filter_licenses=FilterLicenses.AFTER)
    lines = [f"{i},{i},o{i},1,Pica pica,Animalia,{'cc0' if i == 7 else ''}" for i in range(20)]
    path = write_rows(tmp_path / "one.csv", f"{header},license", *lines)
    done, _ = made(path, tmp_path / "one", rule)
    part = done.steps[3].name
    assert [n[:31] for n in done.notes] == ["1 classes have no image in train"[:31]] * (
        part != "train"
    )
