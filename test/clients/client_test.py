"""Clients in another language against a real server: gRPC with stubs made from our protos, SSE and newline JSON."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import uuid

import grpc
import httpx
from google.protobuf import json_format
from httpx_sse import connect_sse
from witan.council.v1 import council_service_pb2, council_service_pb2_grpc
from witan.council.v1 import deliberation_pb2
from witan.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc

BINARY = str(pathlib.Path(sys.argv.pop(1)).resolve())
DEADLINE = 60


class Process:
    """A witan process; `ready` is a regular expression whose groups are taken from its standard error."""

    def __init__(self, args, ready):
        self.process = subprocess.Popen([BINARY, *args], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.lines = []
        self.found = None
        for line in self.process.stderr:
            self.lines.append(line)
            self.found = re.search(ready, line)
            if self.found:
                break
        if not self.found:
            raise RuntimeError("not ready: " + "".join(self.lines))
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=DEADLINE)


def setUpModule():
    global folder, simulator, server, channel, jobs, council, base
    folder = tempfile.TemporaryDirectory()
    simulator = Process(["models", "simulate", "--addr", "127.0.0.1:0"], r"(http://127\.0\.0\.1:\d+/v1)")
    config = pathlib.Path(folder.name, "witan.yaml")
    config.write_text(json.dumps({
        "models": [{"name": n, "provider": "openai", "base_url": simulator.found[1], "model": n} for n in ("a", "b", "c")],
        "councils": [{"name": "default", "members": ["a", "b", "c"], "chairman": {"model": "a"}}],
    }))
    server = Process(["serve", "--config", str(config), "--data", folder.name + "/data", "--grpc-addr", "127.0.0.1:0",
                      "--http-addr", "127.0.0.1:0"], r"grpc_addr=(\S+) http_addr=(\S+)")
    channel = grpc.insecure_channel(server.found[1])
    jobs = jobs_service_pb2_grpc.JobServiceStub(channel)
    council = council_service_pb2_grpc.CouncilServiceStub(channel)
    base = "http://" + server.found[2]


def tearDownModule():
    channel.close()
    server.stop()
    simulator.stop()
    folder.cleanup()


def ask(text):
    question = deliberation_pb2.Deliberation(question=deliberation_pb2.Question(text=text))
    request = council_service_pb2.CreateDeliberationRequest(deliberation=question, request_id=str(uuid.uuid4()))
    first = council.CreateDeliberation(request, timeout=DEADLINE)
    again = council.CreateDeliberation(request, timeout=DEADLINE)
    assert first.name == again.name, "the same request_id is the same deliberation"
    return first


def log_of(job):
    events, token = [], ""
    while True:
        page = jobs.ListJobEvents(jobs_service_pb2.ListJobEventsRequest(parent=job, page_size=7, page_token=token), timeout=DEADLINE)
        events.extend(page.events)
        token = page.next_page_token
        if not token:
            return events


def watch_with_cuts(job, every):
    """Follows a job over gRPC and cancels the call after each `every` events."""
    events = []
    while True:
        call = jobs.WatchJob(jobs_service_pb2.WatchJobRequest(name=job, after_seq=events[-1].seq if events else 0), timeout=DEADLINE)
        taken = 0
        for event in call:
            if event.seq == 0:
                continue
            events.append(event)
            taken += 1
            if event.final:
                return events
            if taken == every:
                call.cancel()
                break


def as_json(events):
    return [json_format.MessageToDict(e, always_print_fields_with_no_presence=True) for e in events]


class Clients(unittest.TestCase):
    maxDiff = None

    def test_grpc_watch_cut_and_resumed_equals_the_log(self):
        job = ask("What is the capital of France?").job
        viewers = [None, None]

        def follow(i, every):
            viewers[i] = watch_with_cuts(job, every)

        threads = [threading.Thread(target=follow, args=(i, n)) for i, n in enumerate((1, 5))]
        for t in threads:
            t.start()
        for t in threads:
            t.join(DEADLINE)
        log = log_of(job)
        self.assertEqual([e.seq for e in log], list(range(1, len(log) + 1)))
        self.assertTrue(log[-1].final)
        for viewer in viewers:
            self.assertEqual([e.SerializeToString(deterministic=True) for e in viewer],
                             [e.SerializeToString(deterministic=True) for e in log])
        after = watch_with_cuts(job, 3)
        self.assertEqual(as_json(after), as_json(log), "the same after the job's end")

    def test_sse_cut_after_any_event_equals_the_log(self):
        job = ask("Is water wet?").job
        jobs.WaitJob(jobs_service_pb2.WaitJobRequest(name=job), timeout=DEADLINE)
        log = as_json(log_of(job))
        for cut in range(1, len(log)):
            with httpx.Client(timeout=DEADLINE) as client:
                events, last = self.read_sse(client, job, None, cut)
                more, _ = self.read_sse(client, job, last, None)
            self.assertEqual(events + more, log, f"cut after event {cut}")

    def read_sse(self, client, job, last, limit):
        headers = {"Last-Event-ID": last} if last else {}
        events = []
        with connect_sse(client, "GET", f"{base}/v1/{job}:watch?after_seq=0", headers=headers) as source:
            for event in source.iter_sse():
                if event.event == "done":
                    break
                if not event.data:  # this reader also hands over blocks that only set the retry time
                    continue
                events.append(json.loads(event.data))
                last = event.id
                if limit and len(events) == limit:
                    break
        return events, last

    def test_a_caught_up_sse_client_is_told_to_stop(self):
        job = ask("Why?").job
        jobs.WaitJob(jobs_service_pb2.WaitJobRequest(name=job), timeout=DEADLINE)
        last = str(log_of(job)[-1].seq)
        with httpx.Client(timeout=DEADLINE) as client:
            answer = client.get(f"{base}/v1/{job}:watch", headers={"Accept": "text/event-stream", "Last-Event-ID": last})
        self.assertEqual(answer.status_code, 204)

    def test_newline_json_equals_the_log(self):
        job = ask("How many?").job
        events = []
        with httpx.Client(timeout=DEADLINE) as client:
            with client.stream("GET", f"{base}/v1/{job}:watch?after_seq=0") as stream:
                for line in stream.iter_lines():
                    event = json.loads(line)
                    if event.get("seq", "0") != "0":
                        events.append(event)
        self.assertEqual(events, as_json(log_of(job)))

    def test_an_unknown_job_is_not_found(self):
        with self.assertRaises(grpc.RpcError) as caught:
            jobs.GetJob(jobs_service_pb2.GetJobRequest(name="jobs/" + "a" * 26), timeout=DEADLINE)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)


if __name__ == "__main__":
    unittest.main(verbosity=1)
