"""`apus index`, `search` and `collections`: what is found, what a second run leaves alone, and what kills, damage and full disks do."""
import json
import os
import random
import resource
import signal
import subprocess
import time

import numpy as np
import pytest

import apus

DONE, FAILED, USAGE = 0, 1, 2
TINY = apus.TINY / "bert-mean"
OTHER = apus.TINY / "distilbert-bare"
WORDS = "river mountain engine swallow harbour lantern copper violin orchard glacier market sparrow thunder meadow canvas".split()


def sentences(count, seed=1):
    generator = random.Random(seed)
    return [" ".join(generator.choice(WORDS) for _ in range(generator.randint(3, 12))) + f" {number}" for number in range(count)]


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def index(source, name, data, *arguments, model=TINY, **options):
    return apus.run("index", source, "--into", name, "--data", data, "--model", model, "--precision", "fp32", "--json", *arguments, **options)


def report(result):
    assert result.returncode == DONE, result.stderr
    return json.loads(result.stdout)


def search(name, query, data, *arguments, model=TINY):
    result = apus.run("search", name, query, "--data", data, "--model", model, "--precision", "fp32", "--json", *arguments)
    assert result.returncode == DONE, result.stderr
    return json.loads(result.stdout)["hits"]


def described(name, data):
    return report(apus.run("collections", "describe", name, "--data", data, "--json"))


def vectors_of(texts, tmp_path, model=TINY):
    file, array = tmp_path / "embedded.txt", tmp_path / "embedded.npy"
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    result = apus.run("embed", "--model", model, "--precision", "fp32", "--file", file, "--output", array)
    assert result.returncode == DONE, result.stderr
    return np.load(array)


def lines_file(tmp_path, texts, name="texts.txt"):
    path = tmp_path / name
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def failure(result, *parts):
    assert result.returncode == FAILED, result.stdout + result.stderr
    assert result.stderr.startswith("apus: ") and result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert part in result.stderr, result.stderr


def test_lines_are_found_in_the_order_of_their_cosine(tmp_path, data):
    texts = sentences(500)
    path = lines_file(tmp_path, texts[:250] + [""] + texts[250:])
    first = report(index(path, "lines", data))
    assert (first["added"], first["replaced"], first["unchanged"], first["empty"], first["documents"]) == (500, 0, 0, 1, 500)
    rows = vectors_of(texts, tmp_path).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    query = texts[123]
    scores = rows @ rows[123]
    hits = search("lines", query, data, "-k", "20")
    assert [hit["text"] for hit in hits][0] == query and len(hits) == 20
    numbers = {text: number for number, text in enumerate(texts)}
    for hit, best in zip(hits, np.sort(scores)[::-1]):
        number = numbers[hit["text"]]
        assert abs(hit["score"] - scores[number]) < 1e-5 and abs(hit["score"] - best) < 1e-5
        line = number + 1 + (number >= 250)
        assert hit["id"] == f"texts.txt:{line}" and hit["metadata"] == {"source": "texts.txt", "line": line}
    table = apus.run("search", "lines", query, "--data", data, "--model", TINY, "-k", "2", "--precision", "fp32")
    assert table.returncode == DONE and table.stdout.splitlines()[0].split() == ["SCORE", "ID", "TEXT"] and query[:20] in table.stdout


def test_a_second_run_computes_only_what_changed(tmp_path, data):
    texts = sentences(300)
    path = lines_file(tmp_path, texts)
    report(index(path, "again", data))
    assert report(index(path, "again", data))["unchanged"] == 300
    texts[7] = "something else entirely"
    lines_file(tmp_path, texts + ["one more"])
    changed = report(index(path, "again", data))
    assert (changed["added"], changed["replaced"], changed["unchanged"], changed["documents"]) == (1, 1, 299, 301)
    assert search("again", "something else entirely", data, "-k", "1")[0]["id"] == "texts.txt:8"
    assert described("again", data)["deleted"] == 1
    compacted = report(apus.run("collections", "compact", "again", "--data", data, "--json"))
    assert compacted["removed"] == 1 and described("again", data)["deleted"] == 0
    assert search("again", "something else entirely", data, "-k", "1")[0]["id"] == "texts.txt:8"


def test_json_lines_have_ids_metadata_and_filters(tmp_path, data):
    path = tmp_path / "films.jsonl"
    films = [{"id": f"film-{n}", "text": text, "metadata": {"year": 1990 + n % 30, "tags": ["a"] if n % 3 else ["b", "c"]}}
             for n, text in enumerate(sentences(200, seed=2))]
    path.write_text("".join(json.dumps(film) + "\n" for film in films), encoding="utf-8")
    assert report(index(path, "films", data))["added"] == 200
    for text, passes in (({"year": 1995}, lambda m: m["year"] == 1995), ({"tags": {"$contains": "b"}}, lambda m: "b" in m["tags"]),
                         ({"$and": [{"year": {"$gte": 2010}}, {"tags": {"$contains": "a"}}]}, lambda m: m["year"] >= 2010 and "a" in m["tags"])):
        hits = search("films", "river engine", data, "-k", "200", "--filter", json.dumps(text))
        assert {hit["id"] for hit in hits} == {film["id"] for film in films if passes(film["metadata"])}
    path.write_text(json.dumps({"title": "x", "body": "river engine", "year": 3, "other": 1}) + "\n", encoding="utf-8")
    flags = ("--text-field", "body", "--id-field", "title", "--metadata-field", "year")
    assert report(index(path, "films", data, *flags))["added"] == 1
    assert search("films", "river engine", data, "-k", "1")[0] | {"score": 0} == {"id": "x", "text": "river engine", "metadata": {"year": 3}, "score": 0}


@pytest.mark.parametrize("lines, parts", [
    (['{"text": "a"}', '{"text": }'], ("films.jsonl:2", "no JSON object")),
    (['{"text": "a"}', '{"body": "b"}'], ("films.jsonl:2", "no member 'text'", "--text-field")),
    (['{"text": 3}'], ("films.jsonl:1 text", "a string is wanted")),
    (['{"text": "a", "id": "x"}', '{"text": "b", "id": "x"}'], ("films.jsonl:2", "'x' came before")),
    (['{"text": "a", "id": true}'], ("films.jsonl:1 id", "a string or a whole number")),
    (['{"text": "a", "metadata": {"a": [[1]]}}'], ("films.jsonl:1 metadata.a[0]",)),
])
def test_a_bad_line_is_told_by_its_number(tmp_path, data, lines, parts):
    path = tmp_path / "films.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    failure(index(path, "films", data), *parts)


@pytest.mark.parametrize("name", ["texts.txt", "notes.md"])
def test_what_is_not_utf8_is_told_by_its_byte(tmp_path, data, name):
    path = tmp_path / name
    path.write_bytes(b"good line\nbad \xff line\n")
    failure(index(path, "bytes", data), name, "byte 14 ", "not UTF-8")


def test_folders_are_cut_into_chunks_whose_ids_stay(tmp_path, data):
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    words = [f"{word}{number}" for number in range(40) for word in WORDS]
    (folder / "deep/long.md").write_text("# Title\n\n" + " ".join(words), encoding="utf-8")
    (folder / "short.txt").write_text("a short text\nof two lines", encoding="utf-8")
    (folder / ".hidden.md").write_text("not this", encoding="utf-8")
    (folder / "other.pdf").write_bytes(b"\xff")
    first = report(index(folder, "notes", data, "--chunk-tokens", "24", "--chunk-overlap", "6"))
    assert first["truncated"] == 0 and first["added"] > 10
    hits = search("notes", "title", data, "-k", "1000")
    chunks = {hit["id"]: hit for hit in hits}
    assert "short.txt#0" in chunks and chunks["short.txt#0"]["text"] == "a short text\nof two lines"
    count = len(chunks) - 1
    parts = [chunks[f"deep/long.md#{number}"]["text"].split() for number in range(count)]
    assert chunks["deep/long.md#1"]["metadata"] == {"source": "deep/long.md", "chunk": 1}
    # Each chunk goes on where the one before ends, less the overlap; together they are the text.
    whole = ["#", "Title", *words]
    position = 0
    for part in parts:
        start = next(start for start in range(max(0, position - 7), position + 1) if whole[start:start + len(part)] == part)
        position = start + len(part)
    assert position == len(whole)
    assert any(set(parts[number]) & set(parts[number + 1]) for number in range(count - 1))
    assert report(index(folder, "notes", data, "--chunk-tokens", "24", "--chunk-overlap", "6"))["unchanged"] == len(chunks)
    (folder / "deep/long.md").write_text("# Title\n\n" + " ".join(words[:50]), encoding="utf-8")
    shorter = report(index(folder, "notes", data, "--chunk-tokens", "24", "--chunk-overlap", "6"))
    assert shorter["removed"] > 0 and shorter["documents"] == len(search("notes", "title", data, "-k", "1000")) < len(chunks)


def test_another_model_is_refused(tmp_path, data):
    path = lines_file(tmp_path, sentences(10))
    report(index(path, "one", data))
    failure(index(path, "one", data, model=OTHER), "'one'", "not by")
    result = apus.run("search", "one", "x", "--data", data, "--model", OTHER)
    failure(result, "'one'")
    assert index(path, "one", data, "--metric", "l2").returncode == USAGE


def test_collections_are_listed_described_and_dropped(tmp_path, data):
    path = lines_file(tmp_path, sentences(10))
    for name in ("b", "a"):
        report(index(path, name, data, "--storage", "int8", "--metric", "dot"))
    listed = report(apus.run("collections", "list", "--data", data, "--json"))
    assert [entry["name"] for entry in listed] == ["a", "b"] and {entry["documents"] for entry in listed} == {10}
    about = described("a", data)
    assert (about["storage"], about["metric"], about["model"], len(about["weights_sha256"])) == ("int8", "dot", "bert-mean", 64)
    assert "int8" in apus.run("collections", "describe", "a", "--data", data).stdout
    assert apus.run("collections", "drop", "a", "--data", data).returncode == DONE
    failure(apus.run("search", "a", "x", "--data", data), "no collection 'a'")
    failure(apus.run("collections", "drop", "a", "--data", data), "no collection 'a'")
    assert apus.run("search", "../b", "x", "--data", data).returncode == USAGE
    assert apus.run("search", "b", "x", "-k", "0", "--data", data).returncode == USAGE
    failure(apus.run("search", "b", "x", "--filter", '{"a":{"$like":1}}', "--data", data), "--filter.a.$like", "no operator")
    environment = apus.run("collections", "list", "--json", APUS_DATA=str(data))
    assert [entry["name"] for entry in json.loads(environment.stdout)] == ["b"]


def test_one_process_writes_and_others_search(tmp_path, data):
    report(index(lines_file(tmp_path, sentences(50)), "shared", data))
    command = [apus.BINARY, "index", "-", "--into", "shared", "--data", data, "--model", TINY, "--precision", "fp32"]
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=apus.environment()) as writer:
        held = data / "lock"
        apus.eventually(lambda: held.exists() and held.read_text().strip() == str(writer.pid))
        failure(index(lines_file(tmp_path, ["x"], "x.txt"), "shared", data), f"process {writer.pid}", "only one process")
        assert len(search("shared", "river", data, "-k", "50")) == 50
        writer.communicate("from standard input\n".encode())
        assert writer.returncode == DONE
    assert search("shared", "from standard input", data, "-k", "1")[0]["id"] == "stdin:1"


def test_kills_lose_nothing_that_was_stored_and_make_no_duplicates(tmp_path, data):
    texts = sentences(12_000, seed=3)
    path = lines_file(tmp_path, texts)
    command = [str(part) for part in (apus.BINARY, "index", path, "--into", "killed", "--data", data, "--model", TINY, "--precision", "fp32")]
    generator, stored = random.Random(5), 0
    for kill in range(8):
        writer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=apus.environment())
        vectors = data / "collections/killed/vectors-1.bin"
        before = os.stat(vectors).st_blocks if vectors.exists() else 0
        deadline = time.monotonic() + generator.uniform(0.3, 3)
        while writer.poll() is None and time.monotonic() < deadline and (not vectors.exists() or os.stat(vectors).st_blocks == before):
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        if vectors.exists():
            now = described("killed", data)["documents"]
            assert now >= stored and described("killed", data)["deleted"] == 0
            stored = now
    last = report(index(path, "killed", data))
    assert last["unchanged"] == stored and last["added"] == len(texts) - stored and last["documents"] == len(texts)
    assert report(index(path, "killed", data))["unchanged"] == len(texts)
    for number in generator.sample(range(len(texts)), 5):
        hit = search("killed", texts[number], data, "-k", "1")[0]
        assert hit["id"] == f"texts.txt:{number + 1}" and hit["score"] > 0.9999


def test_damage_is_told_and_concerns_one_collection(tmp_path, data):
    path = lines_file(tmp_path, sentences(100))
    for name in ("good", "bad"):
        report(index(path, name, data))
    vectors = data / "collections/bad/vectors-1.bin"
    with open(vectors, "r+b") as file:
        file.seek(4096 + 100)
        byte = file.read(1)
        file.seek(4096 + 100)
        file.write(bytes([byte[0] ^ 1]))
    failure(apus.run("search", "bad", "river", "--data", data, "--model", TINY), "vectors-1.bin", "1 of 100 vectors", "apus collections repair")
    failure(index(path, "bad", data), "vectors-1.bin")
    assert len(search("good", "river", data)) == 10
    listed = json.loads(apus.run("collections", "list", "--data", data, "--json").stdout)
    assert [(entry["name"], entry.get("error")) for entry in listed] == [("bad", "store_corrupt"), ("good", None)]
    (data / "collections/bad/documents.sqlite").write_bytes(b"no database")
    failure(apus.run("collections", "describe", "bad", "--data", data), "documents.sqlite", "no SQLite file")
    assert apus.run("collections", "drop", "bad", "--data", data).returncode == DONE


@pytest.mark.parametrize("limit", [600_000, 1_500_000])
def test_a_full_disk_is_told_and_what_was_stored_stays(tmp_path, data, limit):
    path = lines_file(tmp_path, sentences(9_000, seed=4))
    command = [str(part) for part in (apus.BINARY, "index", path, "--into", "full", "--data", data, "--model", TINY, "--precision", "fp32")]
    # A limit on the size of files stands for a disk without room.
    result = subprocess.run(command, capture_output=True, text=True, env=apus.environment(), timeout=120,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    failure(result, "Free room")
    # One that got nothing is not left behind.
    stored = described("full", data)["documents"] if (data / "collections/full").exists() else 0
    again = report(index(path, "full", data))
    assert again["unchanged"] == stored and again["documents"] == 9_000


def test_a_source_that_gives_nothing_leaves_no_collection_behind(tmp_path, data):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"a fine line\nno \xff text\n")
    failure(index(bad, "bad", data), "byte 15", "UTF-8")
    assert not (data / "collections/bad").exists()
    good = lines_file(tmp_path, sentences(3, seed=1))
    report(index(good, "good", data))
    failure(index(bad, "good", data), "byte 15")
    assert described("good", data)["documents"] == 3


def test_an_empty_query_is_refused(tmp_path, data):
    report(index(lines_file(tmp_path, sentences(3, seed=1)), "good", data))
    refused = apus.run("search", "good", "  ", "--data", data, "--model", TINY)
    assert refused.returncode == 2 and "nothing to search for" in refused.stderr, refused


def test_sources_that_are_not_there_are_told_before_a_model_is_loaded(tmp_path, data):
    (tmp_path / "empty").mkdir()
    failure(index(tmp_path / "missing.txt", "x", data), "no such file")
    failure(index(tmp_path / "empty", "x", data), "no .txt and .md files")
    assert not (data / "collections/x").exists()
