"""Measures the start of each function: its size, its memory, and the time and CPU until it asks for its first event and
until it has answered it. For `deliver`, also the CPU until the push service has its first push.

    python3 tests/template/measure.py            builds the functions as they are deployed, for this machine, and measures
    python3 tests/template/measure.py FOLDER     measures FOLDER/<function>/bootstrap

The functions run against this program's Runtime API and DynamoDB, and a push service in Node over HTTP/2 and TLS.
Configuration is given by value, and no request leaves this machine: the figures do not include AWS's network.
"""

import http.server
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = 15
FUNCTIONS = ["subscribe", "send", "broadcast", "deliver"]
# Limits: CPU milliseconds until subscribe's first `next` and until deliver's first push, and megabytes per bootstrap.
AIM_CPU, AIM_PUSH, AIM_SIZE = 5.0, 10.0, 12.0
# The browser of RFC 8291, appendix A.
P256DH = "BCVxsr7N/eNgVRqvHtD0zTZsEc6+VV+JvLexhqUzORcxaOzi6+AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4="
AUTH = "BTBZMqHH6r4Tts7J/aSIgg=="


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Each function is killed after its answer: the broken connections are no errors."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # With Nagle's algorithm, the second half of an answer waits for the acknowledgement of the first half.
    disable_nagle_algorithm = True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body, **headers):
        body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class RuntimeApi(Server):
    """The Runtime API of one function: it gives one event and takes one answer."""

    def __init__(self, event):
        self.event, self.asked, self.answered = event, queue.Queue(), queue.Queue()
        self.go = threading.Event()
        super().__init__(Invocations)


class Invocations(Handler):
    def do_GET(self):
        api = self.server
        api.asked.put(time.perf_counter())
        api.go.wait(30)
        api.go.clear()
        self.answer(
            200,
            api.event,
            Lambda_Runtime_Aws_Request_Id="8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            Lambda_Runtime_Deadline_Ms="4102444800000",
            Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:eu-west-1:1:function:f",
            Lambda_Runtime_Trace_Id="Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
        )

    def do_POST(self):
        body = self.body()
        self.server.answered.put((time.perf_counter(), self.path, body))
        self.answer(202, {})


class DynamoDb(Server):
    """A DynamoDB with one campaign and one subscriber. Every write succeeds, and other reads are empty."""

    def __init__(self, push_service):
        self.subscriber = {
            "endpoint": {"S": f"{push_service}/push/measured"},
            "p256dh": {"B": P256DH},
            "auth": {"B": AUTH},
            "updated_at": {"N": "1773119783220000"},
        }
        self.items = {
            "campaign": {
                "id": {"S": "campaign#6a7e8feb-b491-4cf7-a9f1-bf3703467718"},
                "part": {"S": "campaign"},
                "status": {"S": "running"},
                "audience": {"S": "all"},
                "message": {"S": json.dumps({"to": {"audience": "all"}, "data": "x" * 300})},
                "created_at": {"N": str(time.time_ns() // 1000)},
                "subscribers": {"N": "1"},
                "segments": {"N": "1"},
                "segments_done": {"N": "0"},
                "resumed": {"N": "0"},
            },
            "segment#00000": {"part": {"S": "segment#00000"}, "open": {"N": "0"}},
        }
        super().__init__(Items)


class Items(Handler):
    def do_GET(self):
        """Answers a function that only opens a connection."""
        self.answer(200, "healthy")

    def do_POST(self):
        request = json.loads(self.body() or "{}")
        database = self.server
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        part = request.get("Key", {}).get("part", {}).get("S")
        item = database.items.get(part)
        answer = {
            "GetItem": {"Item": item} if item else {},
            "UpdateItem": {"Attributes": item or {}},
            "Query": {"Items": [], "Count": 0},
            "Scan": {"Items": [database.subscriber], "Count": 1, "ScannedCount": 1},
        }
        self.answer(200, answer.get(operation, {}), Content_Type="application/x-amz-json-1.0")


class PushService:
    """Runs `push_service.js` in its own process. `pushes` gets one line per push."""

    def __init__(self, folder):
        key, self.certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-keyout", key, "-out", self.certificate, "-days", "2", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
            check=True,
            capture_output=True,
        )
        script = Path(__file__).parent / "push_service.js"
        self.process = subprocess.Popen(["node", script, key, self.certificate], stdout=subprocess.PIPE, text=True)
        self.origin = f"https://localhost:{self.process.stdout.readline().strip()}"
        self.pushes = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.pushes.put(line)


def cpu_ms(pid):
    """CPU milliseconds of a process's threads. Unlike /proc/<pid>/stat, schedstat counts nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            pass
    return total / 1e6


def rss_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def start(function, bootstrap, dynamodb, push_service):
    event = json.loads((ROOT / f"events/{function}.json").read_text())
    api = RuntimeApi(event)
    environment = {
        "AWS_LAMBDA_RUNTIME_API": api.url.removeprefix("http://"),
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "measure",
        "AWS_SECRET_ACCESS_KEY": "measure",
        "AWS_ENDPOINT_URL": dynamodb.url,
        "PUSHCAST_SUBSCRIPTIONS_TABLE": "Subscriptions",
        "PUSHCAST_LEDGER_TABLE": "Ledger",
        "PUSHCAST_QUEUE_URL": f"{dynamodb.url}/1/Jobs",
        "PUSHCAST_VAPID_KEYS": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
        "PUSHCAST_VAPID_SUBJECT": "mailto:measure@pushcast.dev",
        "PUSHCAST_TOKEN": "an-api-token-for-local-work",
        "PUSHCAST_USER_SECRET": "a-user-secret-to-measure-with",
        "PUSHCAST_SCHEDULE_GROUP": "g",
        "PUSHCAST_SCHEDULE_ROLE": "r",
        "PUSHCAST_BROADCAST_ARN": "b",
        "PUSHCAST_FAILED_EVENTS_ARN": "f",
        "PUSHCAST_PUSH_ORIGINS": push_service.origin,
        "PUSHCAST_CA_FILE": push_service.certificate,
        "RUST_LOG": "off",
    }
    measured = {}
    began = time.perf_counter()
    process = subprocess.Popen([bootstrap], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        first = api.asked.get(timeout=20)
    except queue.Empty:
        process.kill()
        sys.exit(f"{function} does not start: {process.stderr.read().decode()}")
    # Background work that the start begins counts as part of the start.
    time.sleep(0.05)
    measured["cpu_first"] = cpu_ms(process.pid)
    handed = time.perf_counter()
    api.go.set()
    if function == "deliver":
        try:
            push_service.pushes.get(timeout=20)
        except queue.Empty:
            sys.exit(f"deliver does not push: {api.answered.get(timeout=20)}")
        measured["cpu_push"] = cpu_ms(process.pid)
        measured["push"] = (time.perf_counter() - handed) * 1e3
    answered, path, body = api.answered.get(timeout=30)
    if not path.endswith("/response"):
        sys.exit(f"{function} fails: {body.decode()}")
    measured["first"] = (first - began) * 1e3
    measured["cpu_answer"] = cpu_ms(process.pid)
    measured["answer"] = (first - began + answered - handed) * 1e3
    measured["memory"] = rss_mb(process.pid)
    process.kill()
    process.wait()
    api.shutdown()
    api.server_close()
    return measured


def build():
    """Builds as `sam build` does, but for this machine and with its linker."""
    binaries = [argument for function in FUNCTIONS for argument in ("--bin", function)]
    command = ["cargo", "build", "--release", "--no-default-features", "--features", "aws", "--message-format", "json-render-diagnostics"]
    built = subprocess.run(command + binaries, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, built.splitlines())
    executables = (message.get("executable") for message in messages)
    return {Path(path).name: Path(path) for path in executables if path}


def main():
    if len(sys.argv) > 1:
        bootstraps = {function: Path(sys.argv[1]) / function / "bootstrap" for function in FUNCTIONS}
    else:
        bootstraps = build()
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        push_service = PushService(folder)
        dynamodb = DynamoDb(push_service.origin)
        print(f"{'function':10} {'size':>8} {'first next':>11} {'CPU':>8} {'first answer':>13} {'CPU':>8} {'RSS':>8}")
        for function in FUNCTIONS:
            bootstrap = bootstraps[function]
            if not bootstrap.exists():
                sys.exit(f"{bootstrap} is not there")
            size = bootstrap.stat().st_size / 1e6
            runs = [start(function, bootstrap, dynamodb, push_service) for _ in range(RUNS)]
            median = {key: sorted(run[key] for run in runs)[RUNS // 2] for key in runs[0]}
            print(
                f"{function:10} {size:5.1f} MB {median['first']:8.1f} ms {median['cpu_first']:5.1f} ms "
                f"{median['answer']:10.1f} ms {median['cpu_answer']:5.1f} ms {median['memory']:5.1f} MB"
            )
            if size > AIM_SIZE:
                missed.append(f"{function} is {size:.1f} MB, the aim is {AIM_SIZE:.0f}")
            if function == "subscribe" and median["cpu_first"] > AIM_CPU:
                missed.append(f"subscribe takes {median['cpu_first']:.1f} ms of CPU to its first next, the aim is {AIM_CPU:.0f}")
        since = median["cpu_push"] - median["cpu_first"]
        print(
            f"deliver's first push is with the push service {median['push']:.1f} ms after the event, "
            f"for {since:.1f} ms of CPU; {median['cpu_push']:.1f} ms since the start of the process."
        )
        if median["cpu_push"] > AIM_PUSH:
            missed.append(f"deliver's first push takes {median['cpu_push']:.1f} ms of CPU, the aim is {AIM_PUSH:.0f}")
        push_service.process.kill()
    print(f"Medians of {RUNS} starts, page cache warm, configuration by value, services on this machine.")
    for miss in missed:
        print(f"missed: {miss}")


if __name__ == "__main__":
    main()
