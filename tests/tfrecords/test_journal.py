from inatdet.tfrecords.journal import count_images


def test_images_are_counted_from_the_summary_beside_the_shards(tmp_path):
    pattern = str(tmp_path / "val-*")
    assert count_images(pattern) is None
    for shard in range(2):
        (tmp_path / f"val-0000{shard}-of-00002.tfrecord").touch()
    assert count_images(pattern) is None
    (tmp_path / "val.json").write_text('{"images": 12}')  # without a version, as before
    assert count_images(pattern) == 12
    assert count_images(str(tmp_path / "val-00000*")) is None  # not all of them
