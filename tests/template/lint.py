"""Lints template.yaml as CloudFormation sees it, and shows that it catches the errors that matter.

cfn-lint no longer expands SAM and misses most errors in it. This script first expands the template with the library
that AWS uses. house_rules and expanded_rules check what no linter knows. Then each error of SEEDS is put into the
template, one at a time, and must be found.
"""

import json
import logging
import os
import sys
from copy import deepcopy
from pathlib import Path

from cfnlint.api import lint
from cfnlint.config import ManualArgs
from samcli.commands.deploy.auth_utils import auth_per_resource
from samcli.lib.providers.provider import Stack
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
REGION = "eu-west-1"
FUNCTIONS = ["Subscribe", "Send", "Broadcast", "Deliver"]

os.environ["AWS_DEFAULT_REGION"] = REGION
logging.disable(logging.WARNING)  # samtranslator warns about its own metrics

# The template's CORS configuration, and a simpler form that does not work: SAM mistakes an intrinsic function in
# AllowOrigins for the whole configuration.
CORS = """      CorsConfiguration: !If
        - HasSiteOrigins
        - AllowOrigins: !Split [',', !Ref SiteOrigins]
          AllowMethods: [GET, POST, DELETE]
          AllowHeaders: [authorization, content-type]
          MaxAge: 86400
        - !Ref AWS::NoValue
"""
CORS_LOST = """      CorsConfiguration:
        AllowOrigins: !Split [',', !Ref SiteOrigins]
        AllowMethods: [GET, POST, DELETE]
        AllowHeaders: [authorization, content-type]
        MaxAge: 86400
"""

# Each error: a text of the template, and its wrong replacement. This script must find every one.
SEEDS = {
    "a misspelt FunctionResponseTypes": ("[ReportBatchItemFailures]", "[ReportBatchItemFailure]"),
    "a processor that there is not": ("AllowedValues: [arm64, x86_64]", "AllowedValues: [arm65, x86_64]"),
    "a runtime that there is not": ("provided.al2023", "provided.al2024"),
    "a right that there is not": ("'kms:Sign'", "'kms:Signs'"),
    "a key that cannot sign": ("KeySpec: ECC_NIST_P256", "KeySpec: ECC_NIST_P265"),
    "a visibility timeout below the function's": ("VisibilityTimeout: 370", "VisibilityTimeout: 30"),
    "a visibility timeout below six times the function's": ("VisibilityTimeout: 370", "VisibilityTimeout: 350"),
    "a resource that there is not": ("Queue: !GetAtt Jobs.Arn", "Queue: !GetAtt Job.Arn"),
    "an attribute that there is not": ("!GetAtt DeadJobs.QueueName", "!GetAtt DeadJobs.Name"),
    "an index on an attribute that is not defined": ("AttributeName: user, KeyType", "AttributeName: usr, KeyType"),
    "a condition that there is not": ("Condition: HasAlarmEmail", "Condition: HasAlarmMail"),
    "a misspelt property of the queue": ("RedrivePolicy: {dead", "RedrivePolice: {dead"),
    "too long a wait before a key is deleted": ("PendingWindowInDays: 30", "PendingWindowInDays: 31"),
    "a misspelt build method": ("BuildMethod: rust-cargolambda", "BuildMethod: rust-cargo-lambda"),
    "a misspelt build property": ("BuildProperties: {Binary: send}", "BuildProperties: {Binari: send}"),
    "another function's binary": ("BuildProperties: {Binary: send}", "BuildProperties: {Binary: deliver}"),
    "a right on everything": ("Action: 'kms:Sign', Resource: !GetAtt VapidKey.Arn", "Action: 'kms:Sign', Resource: '*'"),
    "all rights of a service": ("Action: 'dynamodb:Scan'", "Action: 'dynamodb:*'"),
    "a table that goes with the stack": ("DeletionPolicy: Retain", "DeletionPolicy: Delete"),
    "a table without protection": ("DeletionProtectionEnabled: true", "DeletionProtectionEnabled: false"),
    "a schedule that fires by itself": ("State: DISABLED", "State: ENABLED"),
    "an input that is not JSON": ('"message": {"to"', '"message": "to"'),
    "a dashboard that is not JSON": ('{"widgets": [', '{"widgets": '),
    "an API of which `sam deploy --guided` asks whether it may be open": ("Auth: {EnableIamAuthorizer: false}", "Auth: {}"),
    "origins that are one text": ("AllowOrigins: !Split [',', !Ref SiteOrigins]", "AllowOrigins: !Ref SiteOrigins"),
    "a CORS configuration of which SAM leaves only the origins": (CORS, CORS_LOST),
    "a CORS configuration without headers": ("AllowHeaders: [authorization, content-type]", "AllowHeaders: []"),
    "a CORS configuration whose condition never holds": ("HasSiteOrigins: !Not [", "HasSiteOrigins: !And [!Equals [a, b], "),
    "a campaign that Lambda stops as a loop": ("RecursiveLoop: Allow", "RecursiveLoop: Terminate"),
    "a function that nothing keeps from a loop": ("Timeout: 29", "Timeout: 29\n      RecursiveLoop: Allow"),
}

# AWS offers no narrower resource for these rights.
WITHOUT_RESOURCE = {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "scheduler:ListSchedules"}


class Policies(ManagedPolicyLoader):
    """No managed policy is used: roles are explicit."""

    def __init__(self):
        super().__init__(None)

    def load(self):
        return {}


def expand(template):
    """The CloudFormation template that SAM makes of this one."""
    template = deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/code"
    template["Globals"]["Function"].pop("CodeUri", None)
    return transform(template, {}, Policies())


def statements(resource):
    for policy in resource["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield from statement["Fn::If"][1:2] if "Fn::If" in statement else [statement]


def house_rules(template):
    """Our own rules, which no linter knows."""
    resources = template["Resources"]
    functions = {name for name, r in resources.items() if r["Type"] == "AWS::Serverless::Function"}
    if functions != set(FUNCTIONS):
        yield f"functions are {functions}"
    for name in functions:
        metadata = {k: v for k, v in resources[name]["Metadata"].items() if k.startswith("Build")}
        if metadata != {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": name.lower()}}:
            yield f"{name} is built with {metadata}"
        if resources[name]["Properties"].get("Role") != {"Fn::GetAtt": [f"{name}Role", "Arn"]}:
            yield f"{name} has no role of its own"
    timeout = resources["Deliver"]["Properties"]["Timeout"]
    if resources["Jobs"]["Properties"]["VisibilityTimeout"] < 6 * timeout:
        yield "the queue's visibility timeout is below six times deliver's timeout"
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            for statement in statements(resource):
                action, where = statement["Action"], statement["Resource"]
                if not isinstance(action, str) or "*" in action or isinstance(where, list):
                    yield f"{name}: a statement is one right on one resource: {statement}"
                if where == "*" and action not in WITHOUT_RESOURCE:
                    yield f"{name}: {action} on everything"
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::KMS::Key"):
            if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} != {"Retain"}:
                yield f"{name} would go with the stack"
        if resource["Type"] == "AWS::DynamoDB::Table" and not resource["Properties"]["DeletionProtectionEnabled"]:
            yield f"{name} is not protected"
    if resources["ExampleSchedule"]["Properties"]["State"] != "DISABLED":
        yield "the example schedule fires"
    message = json.loads(resources["ExampleSchedule"]["Properties"]["Target"]["Input"])
    if not {"schedule", "scheduled_time"} < set(message):
        yield "the schedule's input does not say which firing it is"
    json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    # `sam deploy --guided` asks this question, and by default it gives up.
    asked = [name for name, fine in auth_per_resource([Stack("", "", str(TEMPLATE), {}, deepcopy(template))]) if not fine]
    if asked:
        yield f"`sam deploy --guided` asks {len(asked)} times whether a function may go without authentication"


def resolved(value, template, parameters):
    """A value as CloudFormation resolves it, with the functions that the CORS configuration uses."""
    again = lambda value: resolved(value, template, parameters)  # noqa: E731
    match value:
        case {"Ref": name}:
            return parameters.get(name)
        case {"Fn::Split": [separator, text]}:
            return again(text).split(separator)
        case {"Fn::If": [condition, then, otherwise]}:
            return again(then if again(template["Conditions"][condition]) else otherwise)
        case {"Fn::And": conditions}:
            return all(again(conditions))
        case {"Fn::Not": [condition]}:
            return not again(condition)
        case {"Fn::Equals": [left, right]}:
            return again(left) == again(right)
        case dict():
            return {name: again(member) for name, member in value.items()}
        case list():
            return [again(member) for member in value]
    return value


def expanded_rules(template):
    """Our own rules for the expanded template."""
    resources = template["Resources"]
    parameters = {"SiteOrigins": "https://a.example,https://b.example:8443"}
    cors = resolved(resources["Api"]["Properties"]["Body"].get("x-amazon-apigateway-cors"), template, parameters)
    wanted = {
        "allowOrigins": ["https://a.example", "https://b.example:8443"],
        "allowMethods": ["GET", "POST", "DELETE"],
        "allowHeaders": ["authorization", "content-type"],
        "maxAge": 86400,
    }
    if cors != wanted:
        yield f"API Gateway gets a CORS configuration of {json.dumps(cors)}"
    # `deliver` queues its own next job. The others have no reason to call themselves.
    loops = [name for name in FUNCTIONS if resources[name]["Properties"].get("RecursiveLoop") == "Allow"]
    if loops != ["Deliver"]:
        yield f"Lambda lets these functions call themselves over a queue: {loops}"


def faults(text):
    """Descriptions of all errors in a template."""
    try:
        template = yaml_parse(text)
        expanded = expand(template)
        found = [*house_rules(template), *expanded_rules(expanded)]
        matches = lint(json.dumps(expanded, indent=1), regions=[REGION], config=ManualArgs(include_checks=["W", "E"]))
        return found + [f"{m.rule.id} {'/'.join(map(str, m.path or []))}: {m.message}" for m in matches]
    except Exception as error:  # noqa: BLE001  (an error of any library means that the template is wrong)
        return [f"{type(error).__name__}: {error}"]


def main():
    text = TEMPLATE.read_text()
    wrong = faults(text)
    for fault in wrong:
        print(f"template.yaml: {fault}")
    if wrong:
        return 1
    for name, (old, new) in SEEDS.items():
        if old not in text:
            wrong.append(name)
            print(f"seed: {name}: {old!r} is no longer in the template")
        elif not (found := faults(text.replace(old, new))):
            wrong.append(name)
            print(f"seed: {name} is not caught")
        elif "-v" in sys.argv:
            print(f"seed: {name}: {found[0][:150]}")
    print(f"template.yaml: {len(wrong)} faults; {len(SEEDS)} seeded errors tried")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
