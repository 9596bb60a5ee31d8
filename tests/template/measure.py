"""What a start of each function costs: its size, the time and the CPU until it asks for its first event and until it has
answered it, and its memory. The built bootstraps run against a Runtime API of this program's.

Configuration is given by value here, and no request leaves this machine: what AWS adds is its own network.
"""

import http.server
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = 15
EVENTS = {"subscribe": "subscribe", "send": "send", "broadcast": "broadcast", "deliver": "deliver"}
# CPU milliseconds to the first `next` of subscribe, and megabytes of a bootstrap.
AIM_CPU, AIM_SIZE = 5.0, 12.0


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Functions are killed once they have answered: whoever was talking to them notices."""


class RuntimeApi(Server):
    """One function's: gives one event, takes one answer."""

    def __init__(self, event):
        super().__init__(("127.0.0.1", 0), Handler)
        self.event, self.asked, self.answered = event, queue.Queue(), queue.Queue()
        self.go = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        api = self.server
        api.asked.put(time.perf_counter())
        api.go.wait(30)
        api.go.clear()
        body = json.dumps(api.event).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:1:function:f")
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.answered.put(time.perf_counter())
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def cpu_ms(pid):
    """CPU that the threads of a process have used: nanoseconds, where /proc/<pid>/stat counts in hundredths."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e6


def rss_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def start(function, bootstrap, dynamodb):
    event = json.loads((ROOT / f"events/{EVENTS[function]}.json").read_text())
    api = RuntimeApi(event)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_address[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "measure",
        "AWS_SECRET_ACCESS_KEY": "measure",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": dynamodb,
        "PUSHCAST_SUBSCRIPTIONS_TABLE": "Subscriptions",
        "PUSHCAST_LEDGER_TABLE": "Ledger",
        "PUSHCAST_QUEUE_URL": f"{dynamodb}/1/Jobs",
        "PUSHCAST_VAPID_KEYS": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
        "PUSHCAST_VAPID_SUBJECT": "mailto:measure@pushcast.dev",
        "PUSHCAST_TOKEN": "an-api-token-for-local-work",
        "PUSHCAST_USER_SECRET": "a-user-secret-to-measure-with",
        "PUSHCAST_SCHEDULE_GROUP": "g",
        "PUSHCAST_SCHEDULE_ROLE": "r",
        "PUSHCAST_BROADCAST_ARN": "b",
        "PUSHCAST_FAILED_EVENTS_ARN": "f",
        "RUST_LOG": "off",
    }
    began = time.perf_counter()
    process = subprocess.Popen([bootstrap], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        first = api.asked.get(timeout=20)
    except queue.Empty:
        process.kill()
        sys.exit(f"{function} does not start: {process.stderr.read().decode()}")
    cpu_first = cpu_ms(process.pid)
    handed = time.perf_counter()
    api.go.set()
    answered = api.answered.get(timeout=30)
    cpu_answer = cpu_ms(process.pid)
    memory = rss_mb(process.pid)
    process.kill()
    process.wait()
    api.shutdown()
    api.server_close()
    return {
        "first": (first - began) * 1e3,
        "cpu_first": cpu_first,
        "answer": (first - began + answered - handed) * 1e3,
        "cpu_answer": cpu_answer,
        "memory": memory,
    }


class Empty(http.server.BaseHTTPRequestHandler):
    """A DynamoDB of which all tables are empty, and which takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "")
        body = json.dumps({"Items": [], "Count": 0} if target.endswith("Query") else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/lambda")
    server = Server(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    dynamodb = f"http://127.0.0.1:{server.server_address[1]}"
    print(f"{'function':10} {'size':>8} {'first next':>11} {'CPU':>8} {'first answer':>13} {'CPU':>8} {'RSS':>8}")
    missed = []
    for function in EVENTS:
        bootstrap = folder / function / "bootstrap"
        if not bootstrap.exists():
            sys.exit(f"{bootstrap} is not there: cargo lambda build --release --bin {function}")
        size = bootstrap.stat().st_size / 1e6
        runs = [start(function, bootstrap, dynamodb) for _ in range(RUNS)]
        median = {key: sorted(run[key] for run in runs)[RUNS // 2] for key in runs[0]}
        print(
            f"{function:10} {size:5.1f} MB {median['first']:8.1f} ms {median['cpu_first']:5.1f} ms "
            f"{median['answer']:10.1f} ms {median['cpu_answer']:5.1f} ms {median['memory']:5.1f} MB"
        )
        if size > AIM_SIZE:
            missed.append(f"{function} is {size:.1f} MB, the aim is {AIM_SIZE:.0f}")
        if function == "subscribe" and median["cpu_first"] > AIM_CPU:
            missed.append(f"subscribe takes {median['cpu_first']:.1f} ms of CPU to its first next, the aim is {AIM_CPU:.0f}")
    print(f"Medians of {RUNS} starts, page cache warm, configuration by value, services on this machine.")
    for miss in missed:
        print(f"missed: {miss}")


if __name__ == "__main__":
    main()
