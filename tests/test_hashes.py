import hashlib

from inatdet.files import sha256_of


def test_the_hash_of_a_file_is_everybody_s(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a.txt") == hashlib.sha256(b"abc").hexdigest()


def test_the_hash_of_a_folder_covers_names_and_contents(tmp_path):
    def folder(name, files):
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return sha256_of(tmp_path / name)

    one = folder("one", {"b/c.txt": "1", "a.txt": "2"})
    assert one == folder("same", {"a.txt": "2", "b/c.txt": "1"})
    assert one != folder("other name", {"a.txt": "2", "b/d.txt": "1"})
    assert one != folder("other content", {"a.txt": "2", "b/c.txt": "3"})
    assert one != folder("swapped", {"a.txt": "1", "b/c.txt": "2"})
