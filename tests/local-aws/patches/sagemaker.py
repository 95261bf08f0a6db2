"""SageMaker, which MiniStack lacks and moto answers for: endpoints are updated over time, and refuse what AWS refuses."""

import copy
import time

from moto.sagemaker.exceptions import AWSValidationException
from moto.sagemaker.models import SageMakerModelBackend

from . import scaling, settings
from .past import Past

# When the update that runs on an endpoint began, by the endpoint's ARN.
_began = {}
_past = Past()


def settle(endpoint):
    """An update that has had its time is done: the instances that were wanted are there."""
    since = _began.get(endpoint.arn)
    if since is not None and since + settings.of(endpoint.endpoint_name).pace <= time.time():
        del _began[endpoint.arn]
        endpoint.endpoint_status = "InService"
        for variant in endpoint.production_variants:
            for name in ("InstanceCount", "Weight"):
                if f"Desired{name}" in variant:
                    variant[f"Current{name}"] = variant[f"Desired{name}"]


def update_over_time():
    """SageMaker API reference, UpdateEndpointWeightsAndCapacities: the endpoint is Updating, and takes no other update meanwhile.

    What a variant's update leaves out stays as it is, and so do variants that are not named.
    """
    scaling.FORWARDED.add("sagemaker")
    describe = SageMakerModelBackend.describe_endpoint

    def update(self, endpoint_name, desired_weights_and_capacities):
        endpoint = self.endpoints.get(endpoint_name)
        if not endpoint:
            raise AWSValidationException(f'Could not find endpoint "{endpoint_name}".')
        settle(endpoint)
        if endpoint.endpoint_status != "InService":
            raise AWSValidationException(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        variants = {variant["VariantName"]: variant for variant in endpoint.production_variants}
        if missing := [one["VariantName"] for one in desired_weights_and_capacities if one["VariantName"] not in variants]:
            raise AWSValidationException(f'The variant name(s) "{missing[0]}" is/are not present within endpoint configuration.')
        _past.wrote(endpoint_name, copy.deepcopy(describe(self, endpoint_name)))
        for wanted in desired_weights_and_capacities:
            given = {name: wanted[name] for name in ("DesiredInstanceCount", "DesiredWeight") if name in wanted}
            variants[wanted["VariantName"]].update(given)
        endpoint.endpoint_status = "Updating"
        _began[endpoint.arn] = time.time()
        settle(endpoint)
        return endpoint.arn

    SageMakerModelBackend.update_endpoint_weights_and_capacities = update


def tell_endpoints_late():
    """No page of AWS says that DescribeEndpoint tells the latest write, so it may tell what stood a moment ago."""
    describe = SageMakerModelBackend.describe_endpoint

    def describe_late(self, endpoint_name):
        if endpoint := self.endpoints.get(endpoint_name):
            settle(endpoint)
        past = _past.told(endpoint_name, settings.of(endpoint_name).lag)
        return past[0] if past else describe(self, endpoint_name)

    SageMakerModelBackend.describe_endpoint = describe_late
