"""What stands in for Qdrant in our tests, against Qdrant's own engine: the points that witan wrote, and the queries that it
asked, must have the same answers there."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import qdrant_edge as engine

WITAN, STAND_IN = (str(pathlib.Path(p).resolve()) for p in (sys.argv.pop(1), sys.argv.pop(1)))
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE = 120
QUESTIONS = ["parse a unified diff", "retry with backoff", "ErrIndexNotFound", "split identifiers into words",
             "how are expired blobs removed", "sha256", "lease", "func TestMain", "context deadline of a stream", "zebra"]


def run(*args, **more):
    return subprocess.run(args, check=True, text=True, capture_output=True, timeout=DEADLINE, **more).stdout


def repository(folder, name, *sources):
    """A repository of some of our own folders."""
    path = pathlib.Path(folder, name)
    for source in sources:
        shutil.copytree(ROOT / source, path / source)
    run("git", "init", "-q", cwd=path)
    run("git", "add", "-A", cwd=path)
    run("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", name, cwd=path)
    return str(path)


def recorded(folder):
    """Lets witan index two repositories and search both, and returns what the stand-in wrote down."""
    log = pathlib.Path(folder, "log")
    stand_in = subprocess.Popen([STAND_IN, "-verbose", "-log", str(log)], stdout=subprocess.PIPE, text=True)
    environ = {**{k: v for k, v in os.environ.items() if not k.startswith("WITAN_")}, "WITAN_QDRANT": stand_in.stdout.readline().strip()}
    server = subprocess.Popen([WITAN, "serve", "--data", folder + "/data", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"],
                              stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environ)
    try:
        for line in server.stderr:
            if re.search(r"grpc_addr=", line):
                break
        for name, sources in (("one", ["internal/diff", "internal/blob", "internal/git"]), ("two", ["services/jobs", "internal/job/watch"])):
            index = run(WITAN, "index", repository(folder, name, *sources), "--data", folder + "/data", env=environ).split()[-1]
            for question in QUESTIONS:
                run(WITAN, "search", question, "--index", index, "--data", folder + "/data", env=environ)
    finally:
        for process in (server, stand_in):
            process.terminate()
            process.communicate(timeout=DEADLINE)
    return [json.loads(line) for line in log.read_text().splitlines()]


def shard(folder):
    """Qdrant's engine, empty."""
    path = pathlib.Path(folder, "shard")
    path.mkdir()
    return engine.EdgeShard.create(str(path), engine.EdgeConfig(
        vectors={"hash": engine.EdgeVectorParams(size=1024, distance=engine.Distance.Cosine)},
        sparse_vectors={"terms": engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)}))


def write(made, call):
    """The same points, into the other engine."""
    made.update(engine.UpdateOperation.upsert_points([engine.Point(id=p["id"], payload=p["payload"], vector={
        **p["dense"], **{n: engine.SparseVector(indices=v["indices"], values=v["values"]) for n, v in p["sparse"].items()},
    }) for p in call["detail"]]))
    return len(call["detail"])


def ask(made, call):
    """The same query, of the other engine."""
    detail = call["detail"]
    vector = detail.get("dense") or engine.SparseVector(indices=detail["sparse"]["indices"], values=detail["sparse"]["values"])
    conditions = [engine.FieldCondition(key=field, match=engine.MatchAny(any=values)) for field, values in detail["filter"].items()]
    return made.query(engine.QueryRequest(
        query=engine.Query.Nearest(vector, using=call["using"]), filter=engine.Filter(must=conditions),
        limit=detail["limit"], offset=detail["offset"], params=engine.SearchParams(exact=True)))


class Ranking(unittest.TestCase):
    def test_same_answers(self):
        with tempfile.TemporaryDirectory() as folder:
            made, written, asked = shard(folder), 0, {"terms": 0, "hash": 0}
            for call in recorded(folder):  # in their order: how rare a term is depends on what has been written
                self.assertNotIn("code", call)
                if call["method"].endswith("Points/Upsert"):
                    written += write(made, call)
                if call["method"].endswith("Points/Query"):
                    asked[call["using"]] += 1
                    self.compare(call, ask(made, call))
            made.close()
            self.assertGreater(written, 300)
            self.assertEqual(asked, {"terms": 2 * len(QUESTIONS), "hash": 2 * len(QUESTIONS)})

    def compare(self, call, theirs):
        """The same points with the same scores; where scores are equal, the order is each engine's own."""
        ours = list(zip(call["detail"].get("ids") or [], call["detail"].get("scores") or []))
        self.assertEqual(len(ours), len(theirs), call["using"])
        scores = dict(ours)
        for (_, score), hit in zip(ours, theirs):
            self.assertAlmostEqual(score, hit.score, delta=1e-3 * max(1, abs(score)))
            self.assertAlmostEqual(scores.get(str(hit.id), hit.score), hit.score, delta=1e-3 * max(1, abs(score)))
        differing = [i for i, ((point, _), hit) in enumerate(zip(ours, theirs)) if point != str(hit.id)]
        for i in differing:
            self.assertAlmostEqual(ours[i][1], theirs[i].score, delta=1e-3 * max(1, abs(ours[i][1])))


if __name__ == "__main__":
    unittest.main(verbosity=2)
