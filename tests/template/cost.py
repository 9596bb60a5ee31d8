"""Prints the table of costs in AWS, computed from list prices and measured figures.

Change a figure below and run it again: python3 tests/template/cost.py
"""

import math

# List prices in us-east-1, in dollars, without any free tier (2025-12; https://aws.amazon.com/pricing).
LAMBDA_GB_S = 0.0000133334  # arm64
LAMBDA_REQUEST = 0.20e-6
API_REQUEST = 1.00e-6  # HTTP API
DYNAMODB_READ = 0.125e-6  # on demand: 4 kB, or 8 kB that may be a second old
DYNAMODB_WRITE = 0.625e-6  # on demand: 1 kB; twice that in a transaction
DYNAMODB_GB_MONTH = 0.25 + 0.20  # storage, and its point-in-time recovery
SQS_REQUEST = 0.40e-6
KMS_SIGN = 0.15e-4
KMS_KEY_MONTH = 1.00
SECRET_MONTH = 0.40
LOGS_GB = 0.50
METRIC_MONTH = 0.30  # for each hour in which the metric has a value
ALARM_METRIC_MONTH = 0.10
DASHBOARD_MONTH = 3.00  # counted, although an account's first three are free if each shows at most 50 metrics
TRACE = 5.00e-6  # X-Ray, recorded
TRANSFER_GB = 0.09

# Measured, or counted in the code.
CPU_US_PER_MESSAGE = 100  # 66 on one x86-64 core (42 for encryption), and half as much again for another processor
CPU_USED = 0.5  # share of a worker's time; otherwise it waits for push services
GB_PER_VCPU = 1769 / 1024
ROW_BYTES = 350
PAGE_ROWS = 300
PAGE_WRITE_UNITS = 16  # a checkpoint in one transaction; half of the pages also create and remove a part of stragglers
PAGE_LOG_BYTES = 1500
WIRE_BYTES = 1000  # out of AWS, for a message of 300 bytes with headers and TLS
SEGMENT_ROWS = 5000
REQUESTS_PER_JOB = 20  # send, receive, delete, a share of empty polls, and the requests for a few parts of stragglers
SUBSCRIBE_CPU_MS = 5
SUBSCRIBE_WRITE_UNITS = 6
NEW_PER_DAY = 0.01  # share of all subscribers that subscribe or refresh
WORKERS, ORIGINS = 10, 4
METRICS = 25
ALARM_METRICS = 13
IDLE_POLLS_MONTH = 5 * 3 * 60 * 24 * 30  # Lambda asks an empty queue with five long polls of 20 seconds
TRACED_SHARE = 0.05  # X-Ray always traces the first call of a second, and this share of the others


def traces(calls, seconds):
    """Number of calls that X-Ray records, if they come at random times within this many seconds."""
    first = seconds * (1 - math.exp(-calls / seconds))
    return first + (calls - first) * TRACED_SHARE


def lambda_cost(cpu_s):
    return cpu_s / CPU_USED * GB_PER_VCPU * LAMBDA_GB_S


def messages(n):
    """Cost of a campaign of n messages, by service."""
    pages, jobs = n / PAGE_ROWS, max(n / SEGMENT_ROWS, 1)
    return {
        "transfer": n * WIRE_BYTES / 1e9 * TRANSFER_GB,
        "DynamoDB": n * ROW_BYTES / 4000 * DYNAMODB_READ + pages * PAGE_WRITE_UNITS * DYNAMODB_WRITE,
        "Lambda": lambda_cost(n * CPU_US_PER_MESSAGE / 1e6) + jobs * LAMBDA_REQUEST,
        "logs": pages * PAGE_LOG_BYTES / 1e9 * LOGS_GB,
        "traces": jobs * TRACE,  # an upper limit: X-Ray does not trace every call of one second
        "SQS, KMS": jobs * REQUESTS_PER_JOB * SQS_REQUEST + min(jobs, WORKERS) * ORIGINS * KMS_SIGN,
    }


def month(subscribers):
    """Monthly cost of a broadcast a day and of new subscriptions, by service."""
    parts = {name: 30 * cost for name, cost in messages(subscribers).items()}
    came = subscribers * NEW_PER_DAY * 30
    one = API_REQUEST + LAMBDA_REQUEST + lambda_cost(SUBSCRIBE_CPU_MS / 1e3) + SUBSCRIBE_WRITE_UNITS * DYNAMODB_WRITE
    parts["subscribing"] = came * (one + 1000 / 1e9 * LOGS_GB)
    parts["traces"] += traces(came, 30 * 86400) * TRACE
    parts["storage"] = subscribers * ROW_BYTES / 1e9 * DYNAMODB_GB_MONTH
    watching = DASHBOARD_MONTH + METRICS * METRIC_MONTH / 24 + ALARM_METRICS * ALARM_METRIC_MONTH
    parts["fixed"] = KMS_KEY_MONTH + 2 * SECRET_MONTH + IDLE_POLLS_MONTH * SQS_REQUEST + watching
    return parts


def dollars(cost):
    return f"${cost:,.2f}" if cost >= 0.005 else "<$0.01"


def row(name, parts):
    shown = sorted(parts.items(), key=lambda part: -part[1])
    shown = ", ".join(f"{part} {dollars(cost)}" for part, cost in shown if cost >= 0.005)
    return f"| {name} | {dollars(sum(parts.values()))} | {shown} |"


def main():
    print("| | cost | of which |\n|---|---|---|")
    print(row("a million messages", messages(1_000_000)))
    for subscribers in (1_000, 100_000, 10_000_000):
        print(row(f"a month: {subscribers:,} subscribers, one broadcast a day", month(subscribers)))


if __name__ == "__main__":
    main()
