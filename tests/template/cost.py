"""What pushcast costs in AWS, from list prices and measured figures: prints the README's table.

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
METRIC_MONTH = 0.30  # pro rata, in the hours in which it has a value
ALARM_METRIC_MONTH = 0.10
DASHBOARD_MONTH = 3.00  # an account's first three are free as long as each shows at most 50 metrics; counted all the same
TRACE = 5.00e-6  # X-Ray, recorded
TRANSFER_GB = 0.09

# Measured, or counted in the code.
CPU_US_PER_MESSAGE = 100  # 66 on one core of x86-64 with everything (encryption 42); half as much again for the processor
CPU_USED = 0.5  # of a worker's time; the rest it waits for push services
GB_PER_VCPU = 1769 / 1024
ROW_BYTES = 350
PAGE_ROWS = 300
PAGE_WRITE_UNITS = 16  # a checkpoint in one transaction; and for half of the pages a part of stragglers, made and removed
PAGE_LOG_BYTES = 1500
WIRE_BYTES = 1000  # a message of 300 bytes, with headers and TLS, out of AWS
SEGMENT_ROWS = 5000
REQUESTS_PER_JOB = 20  # sent, received, deleted, a share of empty polls; and those of a few parts of stragglers
SUBSCRIBE_CPU_MS = 5
SUBSCRIBE_WRITE_UNITS = 6
NEW_PER_DAY = 0.01  # of all subscribers, who come or refresh
WORKERS, ORIGINS = 10, 4
METRICS = 25
ALARM_METRICS = 13
IDLE_POLLS_MONTH = 5 * 3 * 60 * 24 * 30  # Lambda asks an empty queue with five long polls of 20 seconds
TRACED_SHARE = 0.05  # of what is beyond the first call of a second, which is traced always


def traces(calls, seconds):
    """How many of a function's calls X-Ray records, when they come at any time within so many seconds."""
    first = seconds * (1 - math.exp(-calls / seconds))
    return first + (calls - first) * TRACED_SHARE


def lambda_cost(cpu_s):
    return cpu_s / CPU_USED * GB_PER_VCPU * LAMBDA_GB_S


def messages(n):
    """One campaign of n messages, by what it is paid for."""
    pages, jobs = n / PAGE_ROWS, max(n / SEGMENT_ROWS, 1)
    return {
        "transfer": n * WIRE_BYTES / 1e9 * TRANSFER_GB,
        "DynamoDB": n * ROW_BYTES / 4000 * DYNAMODB_READ + pages * PAGE_WRITE_UNITS * DYNAMODB_WRITE,
        "Lambda": lambda_cost(n * CPU_US_PER_MESSAGE / 1e6) + jobs * LAMBDA_REQUEST,
        "logs": pages * PAGE_LOG_BYTES / 1e9 * LOGS_GB,
        "traces": jobs * TRACE,  # at most: those of one second are not all traced
        "SQS, KMS": jobs * REQUESTS_PER_JOB * SQS_REQUEST + min(jobs, WORKERS) * ORIGINS * KMS_SIGN,
    }


def month(subscribers):
    """One broadcast a day, and who comes and goes."""
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
