"""A local AWS: MiniStack with what matters here made like AWS, and moto for what it lacks.

    GATEWAY_PORT=4566 python serve.py

Everything listens on 127.0.0.1. Each deviation from AWS that our tests would otherwise pass or fail by is one function in
patches/, listed in PATCHES in the order in which it is applied; tests/it/local_aws.rs has a test for each. It reaches into
MiniStack's inside, so its version is pinned, and a name that is gone fails here at the start, not in some test later.
README.md says how unkind it can be made, and what still differs from AWS.
"""

import os
import signal
import subprocess
import sys
import threading
import time

# No compiled files beside the sources.
sys.dont_write_bytecode = True

import cbor2  # noqa: F401  MiniStack does without it, and then silently stores no metric that the Rust SDK writes.
import ministack.app
import permissions

from patches import apigateway, autoscaling, cloudwatch, concurrency, dynamodb, ecs, eks, elasticache, functions, gateway, kinesis
from patches import rds, sagemaker, scaling, stepfunctions


def inject_faults(port):
    """microburst listens on this port and passes everything on to us, except what a rule of a test breaks."""
    upstream = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
    start = "from microburst.cli import main; main()"
    subprocess.Popen([sys.executable, "-c", start, "--upstream", upstream, "--host", "127.0.0.1", "--port", port])


def end(*_):
    """Ends us and what we started. The gateway has its own way of ending at a signal, which leaves the others."""
    os.killpg(0, signal.SIGKILL)


def stop_with_parent():
    """Whoever started us may be killed; nothing must be left running then: neither we nor what we started."""
    parent = os.getppid()
    os.setpgid(0, 0)

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        end()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=watch, daemon=True).start()


PATCHES = (
    functions.answer_invocations_at_once,
    functions.name_throttled_invocations,
    functions.fail_invocations_as_asked,
    stepfunctions.limit_payloads,
    stepfunctions.catch_by_name_only,
    stepfunctions.limit_events,
    stepfunctions.tell_ends_earlier,
    cloudwatch.keep_metrics_as_long_as_cloudwatch,
    cloudwatch.evict_old_points_once_a_minute,
    cloudwatch.evaluate_alarms_of_metrics_that_have_points,
    cloudwatch.tell_points_late,
    cloudwatch.tell_metric_data_by_pages,
    autoscaling.check_bounds_of_groups,
    autoscaling.keep_what_else_groups_have,
    autoscaling.launch_instances_of_groups_from_templates,
    autoscaling.move_instances_over_time,
    autoscaling.refresh_instances_over_time,
    autoscaling.keep_warm_pools,
    autoscaling.tell_groups_late,
    autoscaling.tell_by_pages,
    ecs.read_numbers_of_services,
    ecs.move_tasks_over_time,
    ecs.have_task_sets,
    ecs.limit_services_described,
    ecs.tell_services_late,
    eks.have_groups_behind,
    eks.update_over_time,
    eks.tell_node_groups_late,
    dynamodb.read_numbers_of_tables,
    dynamodb.update_tables_over_time,
    dynamodb.update_tables_of_stacks_at_once,
    dynamodb.limit_decreases,
    dynamodb.refuse_unchanged_throughput,
    dynamodb.refuse_updates_of_busy_tables,
    dynamodb.tell_tables_late,
    kinesis.reshard_over_time,
    kinesis.refuse_reshardings,
    kinesis.tell_streams_late,
    elasticache.change_replicas_over_time,
    elasticache.reshard_over_time,
    elasticache.tell_groups_late,
    concurrency.allocate_over_time,
    concurrency.refuse_concurrency,
    concurrency.tell_concurrency_late,
    concurrency.list_what_is_provisioned,
    rds.keep_pause_delays,
    rds.modify_clusters_over_time,
    rds.refuse_modifications,
    rds.tell_clusters_late,
    rds.make_and_remove_instances_over_time,
    rds.grow_storage_over_time,
    rds.refuse_instances,
    rds.tell_nothing_that_is_not_there,
    rds.tell_instances_late,
    apigateway.tell_stages_late,
    sagemaker.update_over_time,
    sagemaker.tell_endpoints_late,
    scaling.forward_what_is_missing,
    scaling.tell_targets_and_policies_by_pages,
    scaling.move_capacity_into_its_bounds,
    gateway.answer_settings,
    permissions.check_permissions,
)

if __name__ == "__main__":
    for patch in PATCHES:
        patch()
    stop_with_parent()
    if "FAULTS_PORT" in os.environ:
        inject_faults(os.environ["FAULTS_PORT"])
    try:
        # The name is looked up now, after the patches have replaced it.
        ministack.app.main()
    finally:
        end()
