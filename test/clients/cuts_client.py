"""A client that follows one job over a connection that is cut again and again: sse (httpx-sse), lines (httpx) or grpc (grpcio).

Prints each event of the log as it came: its number, a tab, its JSON.
"""

import json
import signal
import sys
import time

import grpc
import httpx
from google.protobuf import json_format
from httpx_sse import SSEError, connect_sse
from witan.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc

how, address, job = sys.argv[1:]
PAUSE = 0.02
signal.alarm(600)  # nobody waits for longer


def show(seq, text):
    sys.stdout.write(f"{seq}\t{text}\n")


def follow_sse():
    last = "0"
    while True:
        try:
            with httpx.Client(timeout=60) as client:
                with connect_sse(client, "GET", f"{address}/v1/{job}:watch?after_seq=0", headers={"Last-Event-ID": last}) as source:
                    if source.response.status_code == 204:
                        return
                    for event in source.iter_sse():
                        if event.event == "done":
                            return
                        if event.data:
                            last = event.id
                            show(last, event.data)
        except (httpx.TransportError, SSEError):
            pass
        time.sleep(PAUSE)


def follow_lines():
    last = 0
    while True:
        try:
            with httpx.Client(timeout=60) as client:
                with client.stream("GET", f"{address}/v1/{job}:watch?after_seq={last}") as stream:
                    if stream.status_code == 204:
                        return
                    rest = b""
                    for chunk in stream.iter_bytes():  # a line is one only when its end has come
                        *lines, rest = (rest + chunk).split(b"\n")
                        for line in lines:
                            event = json.loads(line)
                            if event.get("seq", "0") != "0":
                                last = int(event["seq"])
                                show(last, line.decode())
        except httpx.TransportError:
            pass
        time.sleep(PAUSE)


def follow_grpc():
    options = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 5000), ("grpc.max_reconnect_backoff_ms", 100)]
    # It does not read on after a reset that arrives together with the last bytes, and would wait for ever: docs/jobs.md.
    options += [("grpc.keepalive_time_ms", 15_000), ("grpc.keepalive_timeout_ms", 5000), ("grpc.http2.max_pings_without_data", 0)]
    last, final = 0, False
    with grpc.insecure_channel(address, options=options) as channel:
        jobs = jobs_service_pb2_grpc.JobServiceStub(channel)
        while not final:
            try:
                for event in jobs.WatchJob(jobs_service_pb2.WatchJobRequest(name=job, after_seq=last), timeout=300, wait_for_ready=True):
                    if event.seq:
                        last, final = event.seq, event.final
                        text = json_format.MessageToJson(event, always_print_fields_with_no_presence=True, indent=None)
                        show(last, text)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN):
                    raise
            time.sleep(PAUSE)


{"sse": follow_sse, "lines": follow_lines, "grpc": follow_grpc}[how]()
