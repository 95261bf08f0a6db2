"""ECS: services as templates make them."""

from ministack.services.cloudformation import provisioners


def read_numbers_of_services():
    """CloudFormation user guide, AWS::ECS::Service: a DesiredCount that comes by a parameter is a number."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"]
    create = handlers["create"]

    def create_numbers(logical_id, props, stack_name):
        counts = {"DesiredCount": int(props["DesiredCount"])} if "DesiredCount" in props else {}
        return create(logical_id, {**props, **counts}, stack_name)

    handlers["create"] = create_numbers
