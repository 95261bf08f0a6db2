"""Prints a SAM template as the CloudFormation template that AWS makes of it, in JSON."""

import json
import os
import sys

# The translator asks for a region and for nothing else of AWS.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

PACKAGED = "s3://packaged/code"


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        # Code on this machine is put into a bucket before a template is transformed.
        for local in ("CodeUri", "DefinitionUri"):
            if local in resource.get("Properties", {}):
                resource["Properties"][local] = PACKAGED
    json.dump(Translator({}, Parser()).translate(template, {}), sys.stdout)


main(sys.argv[1])
