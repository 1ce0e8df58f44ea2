"""Collections that are damaged, and collections of which much was deleted."""
import json
import pathlib
import random

import apus

TEXTS = [f"{animal} number {number} near the {place}" for number in range(8) for animal in ["a shark", "a swift", "a fox", "an owl", "a bee"]
         for place in ["beach", "roof", "wood", "barn", "meadow"]]


def indexed(tmp_path):
    data = tmp_path / "data"
    lines = tmp_path / "animals.txt"
    lines.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    made = apus.run("index", lines, "--into", "animals", "--data", data)
    assert made.returncode == 0, made
    return data


def listed(data):
    found = apus.run("search", "animals", "an animal", "-k", "1000", "--data", data, "--json")
    assert found.returncode == 0, found
    return {hit["id"]: hit["text"] for hit in json.loads(found.stdout)["hits"]}


def damage(path, count, start=0, seed=1):
    """Turns bits over at random places and returns the file as it was."""
    whole = path.read_bytes()
    bytes_ = bytearray(whole)
    chance = random.Random(seed)
    for _ in range(count):
        bytes_[chance.randrange(start, start + len(TEXTS) * 384 * 4)] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes_)
    return whole


def test_a_damaged_collection_is_refused_with_advice_and_repaired(tmp_path):
    data = indexed(tmp_path)
    before = listed(data)
    assert len(before) == len(TEXTS)
    damage(data / "collections/animals/vectors-1.bin", 5, start=4096)
    refused = apus.run("search", "animals", "an animal", "--data", data)
    assert refused.returncode == 1 and "apus collections repair" in refused.stderr, refused
    told = apus.run("collections", "--data", data)
    assert told.returncode == 0 and "store_corrupt" in told.stdout and "apus collections repair" in told.stderr, told

    repaired = apus.run("collections", "repair", "animals", "--data", data, "--json")
    assert repaired.returncode == 0, repaired
    report = json.loads(repaired.stdout)
    lost = {loss["id"] for loss in report["lost"]}
    assert report["damaged"] and 1 <= len(lost) <= 5 and report["kept"] == len(TEXTS) - len(lost), report
    assert all(loss["damaged"] == "vector" and loss["has_text"] for loss in report["lost"]), report
    assert listed(data) == {id: text for id, text in before.items() if id not in lost}
    assert pathlib.Path(report["damaged_files"], "documents.sqlite").exists()

    again = apus.run("collections", "repair", "animals", "--data", data)
    assert again.returncode == 0 and "no damage" in again.stdout, again
    resumed = apus.run("index", tmp_path / "animals.txt", "--into", "animals", "--data", data, "--json")
    assert json.loads(resumed.stdout)["added"] == len(lost), resumed
    assert listed(data) == before


def test_lost_vectors_are_made_again_of_their_texts(tmp_path):
    data = indexed(tmp_path)
    before = apus.run("search", "animals", "a fish", "-k", "5", "--data", data)
    (data / "collections/animals/vectors-1.bin").write_bytes(b"")
    repaired = apus.run("collections", "repair", "animals", "--embed", "--data", data, "--json")
    assert repaired.returncode == 0, repaired
    report = json.loads(repaired.stdout)
    assert len(report["embedded"]) == len(TEXTS) and report["lost"] == [] and report["kept"] == 0, report
    assert apus.run("search", "animals", "a fish", "-k", "5", "--data", data).stdout == before.stdout


def test_what_cannot_be_repaired_is_told_in_one_line(tmp_path):
    data = indexed(tmp_path)
    missing = apus.run("collections", "repair", "nothing", "--data", data)
    assert missing.returncode == 1 and "no collection 'nothing'" in missing.stderr, missing
    (data / "collections/animals/documents.sqlite").write_bytes(b"hello, world")
    hopeless = apus.run("collections", "repair", "animals", "--data", data)
    assert hopeless.returncode == 1 and "drop the collection" in hopeless.stderr and hopeless.stderr.count("\n") <= 2, hopeless
    assert apus.run("collections", "drop", "animals", "--data", data).returncode == 0


def test_a_collection_of_which_much_was_deleted_is_compacted_by_the_server(tmp_path):
    settings = {"APUS_COLLECTIONS_COMPACT_AT": "0.4", "APUS_COLLECTIONS_COMPACT_MIN": "50"}
    with apus.Server("--data", tmp_path, env=settings) as server:
        assert server.post("/v1/collections", {"name": "points", "model": None, "dimensions": 4, "metric": "l2"}).status == 201
        documents = [{"id": f"d{number}", "vector": [number, 1, 2, 3]} for number in range(200)]
        assert server.post("/v1/collections/points/documents", {"documents": documents}).status == 200
        assert server.post("/v1/collections/points/delete", {"ids": [f"d{number}" for number in range(79)]}).json["deleted"] == 79
        assert server.get("/v1/collections/points").json["deleted"] == 79
        assert server.post("/v1/collections/points/delete", {"ids": ["d79"]}).status == 200
        apus.eventually(lambda: server.get("/v1/collections/points").json["deleted"] == 0, server=server)
        apus.eventually(lambda: 'apus_collections_compactions_total{outcome="done"} 1' in server.get("/metrics").body.decode(), server=server)
        assert "a collection was compacted" in server.output()
        assert len(server.get("/v1/collections/points/documents?limit=1000").json["data"]) == 120
        found = server.post("/v1/collections/points/search", {"vector": [199, 1, 2, 3], "k": 1})
        assert found.json["data"][0]["hits"][0]["id"] == "d199"


def test_what_is_no_share_is_refused(tmp_path):
    for value in ["-0.1", "1.5", "often"]:
        refused = apus.run("serve", "--data", tmp_path, APUS_COLLECTIONS_COMPACT_AT=value)
        assert refused.returncode == 78 and "APUS_COLLECTIONS_COMPACT_AT" in refused.stderr, refused
