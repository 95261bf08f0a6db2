"""What a request asks of IAM: actions, resources and condition keys, from the Service Authorization Reference."""

import json
import re
from urllib.parse import parse_qs, unquote

import cbor2
from ministack.services import apigateway_v1, autoscaling, dynamodb, ecs, eks, elasticache, kinesis, lambda_svc
from moto.sagemaker.models import sagemaker_backends

CBOR = re.compile(r"/service/GraniteServiceVersion20100801/operation/(\w+)$")
# Actions without a resource of their own: only the resource "*" allows them.
WHOLE = {
    "application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies",
    "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeInstanceRefreshes", "autoscaling:DescribePolicies",
    "autoscaling:DescribeScalingActivities", "autoscaling:DescribeWarmPool",
    "cloudwatch:GetMetricData", "cloudwatch:ListMetrics",
    "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:DescribeRules",
    "lambda:GetAccountSettings",
}
# What Application Auto Scaling asks of the caller before it registers a target: see "Permissions validation" in its guide.
TARGETS_NEED = {
    "cassandra": ("cassandra:Alter", "cassandra:Select"),
    "dynamodb": ("dynamodb:DescribeTable", "dynamodb:UpdateTable"),
    "ecs": ("ecs:DescribeServices", "ecs:UpdateService"),
    "elasticache": (
        "elasticache:DecreaseReplicaCount", "elasticache:DescribeCacheClusters", "elasticache:DescribeCacheParameters",
        "elasticache:DescribeReplicationGroups", "elasticache:IncreaseReplicaCount",
        "elasticache:ModifyReplicationGroupShardConfiguration",
    ),
    "lambda": (
        "lambda:DeleteProvisionedConcurrencyConfig", "lambda:GetProvisionedConcurrencyConfig", "lambda:PutProvisionedConcurrencyConfig",
    ),
    "sagemaker": ("sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:UpdateEndpointWeightsAndCapacities"),
}
# Lambda's operations, by how a request's path ends and its method.
OF_LAMBDA = {
    "account-settings": {"GET": "GetAccountSettings"},
    "concurrency": {"GET": "GetFunctionConcurrency", "PUT": "PutFunctionConcurrency"},
    "provisioned-concurrency": {
        "DELETE": "DeleteProvisionedConcurrencyConfig", "GET": "GetProvisionedConcurrencyConfig",
        "PUT": "PutProvisionedConcurrencyConfig",
    },
}
# EKS's operations on node groups, by a request's method.
OF_EKS = {"GET": "DescribeNodegroup", "POST": "UpdateNodegroupConfig"}
# Tags of scalable targets, which moto does not keep.
target_tags = {}


def tags(pairs):
    def one(pair, name):
        return str(pair.get(name, pair.get(name.lower(), "")))

    return {f"aws:resourcetag/{one(pair, 'Key').lower()}": [one(pair, "Value")] for pair in pairs or []}


def read(service, method, path, headers, body):
    """The operation and its parameters."""
    if match := CBOR.search(path):
        return match.group(1), cbor2.loads(body) if body else {}
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2], json.loads(body or b"{}")
    if service == "lambda":
        parts, query = unquote(path.split("?")[0]).strip("/").split("/"), parse_qs(path.partition("?")[2])
        given = {"FunctionName": parts[2]} if len(parts) > 2 else {}
        return OF_LAMBDA[parts[-1]][method], {**given, **{name: values[0] for name, values in query.items()}}
    if service == "apigateway":
        return method, {"path": unquote(path.split("?")[0])}
    if service == "eks":
        _, cluster, _, name, *_ = unquote(path.split("?")[0]).strip("/").split("/")
        return OF_EKS[method], {"clusterName": cluster, "nodegroupName": name}
    if service == "s3":
        bucket, _, key = unquote(path.split("?")[0]).lstrip("/").partition("/")
        return {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject"}[method], {"Bucket": bucket, "Key": key}
    form = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    return form["Action"], form


def table(place, name, index=None):
    arn = name if name.startswith("arn:") else f"{place}:table/{name}"
    return arn + (f"/index/{index}" if index else ""), tags(dynamodb._tags.get(arn))


def leading(name, items):
    stored = dynamodb._tables.get(name.rpartition("/")[2]) or {}
    key = next((key["AttributeName"] for key in stored.get("KeySchema", []) if key["KeyType"] == "HASH"), None)
    return {"dynamodb:leadingkeys": [next(iter(item[key].values())) for item in items if key in item]} if key else {}


def of_dynamodb(place, operation, given):
    if operation in ("BatchGetItem", "BatchWriteItem"):
        for name, asked in given["RequestItems"].items():
            writes = [list(write.values())[0] for write in asked] if isinstance(asked, list) else []
            items = [write.get("Item", write.get("Key")) for write in writes] or asked["Keys"]
            arn, context = table(place, name)
            yield arn, {**context, **leading(name, items)}
        return
    name = given["TableName"]
    arn, context = table(place, name, given.get("IndexName"))
    if operation == "Query":
        # Our own queries name the partition first: "pk = :pk AND ...".
        hash_key, value = re.match(r"\s*(\S+)\s*=\s*(:\w+)", given["KeyConditionExpression"]).groups()
        context |= leading(name, [{hash_key: given["ExpressionAttributeValues"][value]}])
    elif items := [given[part] for part in ("Item", "Key") if part in given]:
        context |= leading(name, items)
    yield arn, context


def of_autoscaling(place, operation, given):
    name = given["AutoScalingGroupName"]
    group = autoscaling._asgs.get(name)
    context = tags(autoscaling._tags.get(name))
    for key in ("MinSize", "MaxSize", "LaunchConfigurationName"):
        if key in given:
            context[f"autoscaling:{key.lower()}"] = [given[key]]
    if "VPCZoneIdentifier" in given:
        context["autoscaling:vpczoneidentifiers"] = given["VPCZoneIdentifier"].split(",")
    template = [name for name in given if "LaunchTemplate" in name]
    if template:
        versions = [given[name] for name in template if name.endswith(".Version")]
        pinned = any(version not in ("$Latest", "$Default") for version in versions)
        context["autoscaling:launchtemplateversionspecified"] = [str(pinned).lower()]
    yield group["AutoScalingGroupARN"] if group else f"{place}:autoScalingGroup:*:autoScalingGroupName/{name}", context


def roles_of(name):
    """The roles that a task definition passes to its tasks."""
    definition = ecs._task_defs.get(ecs._resolve_td_key(name)) or {}
    return [definition[role] for role in ("taskRoleArn", "executionRoleArn") if definition.get(role)]


def behind(place, target):
    """What a scalable target scales, by its id."""
    kind, _, name = target.partition("/")
    if kind == "service":
        return service_of(place, *name.split("/"))
    if kind == "table":
        return table(place, name.split("/")[0])
    if kind == "replication-group":
        return next(of_elasticache(place, None, {"ReplicationGroupId": name}))
    if kind == "endpoint":
        return next(of_sagemaker(place, None, {"EndpointName": name.split("/")[0]}))
    if kind.startswith("function:"):
        _, name, qualifier = kind.split(":")
        return next(of_lambda(place, None, {"FunctionName": name, "Qualifier": qualifier}))
    return f"{place}:/{target}", {}


def more_of(action, place, given):
    """What AWS asks of the caller besides the action itself."""
    if action == "application-autoscaling:RegisterScalableTarget":
        other = place.replace("application-autoscaling", given["ServiceNamespace"])
        arn, context = behind(other, given["ResourceId"])
        return [(need, arn, context) for need in TARGETS_NEED[given["ServiceNamespace"]]]
    # EC2 Auto Scaling User Guide, "Control Amazon EC2 launch template usage in Auto Scaling groups".
    if action == "autoscaling:UpdateAutoScalingGroup" and any("LaunchTemplate" in name for name in given):
        return [("ec2:RunInstances", "*", {})]
    # IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
    if action == "ecs:UpdateService" and "taskDefinition" in given:
        return [("iam:PassRole", role, {}) for role in roles_of(given["taskDefinition"])]
    return []


def service_of(place, cluster, name):
    cluster, name = cluster.rpartition("/")[2], name.rpartition("/")[2]
    arn = f"{place}:service/{cluster}/{name}"
    return arn, {**tags(ecs._tags.get(arn)), "ecs:cluster": [f"{place}:cluster/{cluster}"]}


def of_ecs(place, operation, given):
    for name in given["services"] if operation == "DescribeServices" else [given["service"]]:
        arn, context = service_of(place, given.get("cluster", "default"), name)
        if "taskDefinition" in given:
            context["ecs:task-definition"] = [given["taskDefinition"]]
        if "capacityProviderStrategy" in given:
            context["ecs:capacity-provider"] = [one["capacityProvider"] for one in given["capacityProviderStrategy"]]
        if "enableExecuteCommand" in given:
            context["ecs:enable-execute-command"] = [str(given["enableExecuteCommand"]).lower()]
        yield arn, context


def of_targets(place, operation, given):
    """The resource is the scalable target, and its tags are its own: those of the table or service do not count."""
    place_of = (given["ServiceNamespace"], given["ResourceId"], given["ScalableDimension"])
    keys = {"application-autoscaling:service-namespace": [place_of[0]], "application-autoscaling:scalable-dimension": [place_of[2]]}
    yield f"{place}:scalable-target/{'-'.join(place_of).replace('/', '-')}", {**target_tags.get(place_of, {}), **keys}


def of_apigateway(place, operation, given):
    _, _, api, _, stage = (given["path"].split("/") + ["", "", ""])[:5]
    stages = apigateway_v1._stages_v1.get(api) or {}
    context = (stages.get(stage) or {}).get("tags") or {}
    yield f"{place.rpartition(':')[0]}::{given['path']}", tags({"Key": key, "Value": value} for key, value in context.items())


def of_eks(place, operation, given):
    name = f"{given['clusterName']}/{given['nodegroupName']}"
    arn = (eks._nodegroups.get(name) or {}).get("nodegroupArn", f"{place}:nodegroup/{name}/*")
    yield arn, tags({"Key": key, "Value": value} for key, value in eks._tags.get(arn, {}).items())


def of_elasticache(place, operation, given):
    arn = f"{place}:replicationgroup:{given.get('ReplicationGroupId', '*')}"
    yield arn, tags(elasticache._tags.get(arn))


def of_kinesis(place, operation, given):
    stream = kinesis._streams.get(given["StreamName"]) or {}
    context = tags({"Key": key, "Value": value} for key, value in stream.get("tags", {}).items())
    yield f"{place}:stream/{given['StreamName']}", context


def of_sagemaker(place, operation, given):
    name = given["EndpointName"]
    found = [backend.endpoints[name] for _, _, backend in sagemaker_backends.iter_backends() if name in backend.endpoints]
    yield f"{place}:endpoint/{name}", tags(found[0].tags if found else None)


def of_lambda(place, operation, given):
    name = given["FunctionName"]
    function = lambda_svc._functions.get(name) or {}
    context = tags({"Key": key, "Value": value} for key, value in function.get("tags", {}).items())
    yield ":".join([f"{place}:function", name, *filter(None, [given.get("Qualifier")])]), context


NAMED = {
    "states": lambda place, operation, given: [(given["executionArn"], {})],
    "sns": lambda place, operation, given: [(given["TopicArn"], {})],
    "ssm": lambda place, operation, given: [(f"{place}:parameter/{given['Name'].lstrip('/')}", {})],
    "s3": lambda place, operation, given: [(f"arn:aws:s3:::{given['Bucket']}/{given['Key']}", {})],
    "cloudwatch": lambda place, operation, given: [(f"{place}:alarm:{name}", {}) for name in given.get("AlarmNames", ["*"])],
    "dynamodb": of_dynamodb,
    "apigateway": of_apigateway,
    "autoscaling": of_autoscaling,
    "ecs": of_ecs,
    "eks": of_eks,
    "elasticache": of_elasticache,
    "kinesis": of_kinesis,
    "lambda": of_lambda,
    "sagemaker": of_sagemaker,
    "application-autoscaling": of_targets,
}
PREFIXES = {"monitoring": "cloudwatch"}


def asked(service, account, region, operation, given):
    """What IAM is asked about a request: every action on every resource, each of which must be allowed."""
    service = PREFIXES.get(service, service)
    action, place = f"{service}:{operation}", f"arn:aws:{service}:{region}:{account}"
    if action in WHOLE:
        return [{"action": action, "resource": "*", "context": {}}]
    if service not in NAMED:
        raise ValueError(f"requests_of_aws.py does not know {action}")
    found = [{"action": action, "resource": arn, "context": context} for arn, context in NAMED[service](place, operation, given)]
    found += [{"action": need, "resource": arn, "context": context} for need, arn, context in more_of(action, place, given)]
    return found
