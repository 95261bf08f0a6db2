"""API Gateway: what a stage tells of its throttle lags behind writes."""

import copy

from ministack.services import apigateway_v1

from . import settings
from .past import Past

_past = Past()


def tell_stages_late():
    """No page of AWS says that GetStage tells the latest write, so it may tell what stood a moment ago."""
    get, update = apigateway_v1._get_stage, apigateway_v1._update_stage

    def name_of(api):
        return (apigateway_v1._rest_apis.get(api) or {}).get("name", "")

    def update_noted(api, stage, data):
        before = copy.deepcopy((apigateway_v1._stages_v1.get(api) or {}).get(stage))
        answer = update(api, stage, data)
        if before and answer[0] < 400:
            _past.wrote(f"{api}/{stage}", before)
        return answer

    def get_late(api, stage):
        past = _past.told(f"{api}/{stage}", settings.of(name_of(api)).lag)
        return apigateway_v1._v1_response(past[0]) if past else get(api, stage)

    apigateway_v1._get_stage, apigateway_v1._update_stage = get_late, update_noted
