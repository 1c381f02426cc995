# SPDX-License-Identifier: Apache-2.0
"""Life-cycle rules as S3 clients put them; they are the same rules that our own command line shows."""
import json

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.parametrize("gateway", ["plain", "secure"], indirect=True)  # http and https
RULES = [{"ID": "x", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 30}},
         {"ID": "y", "Filter": {"Prefix": ""}, "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
          "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}}]


def code(call, **kw):
    with pytest.raises(ClientError) as e:
        call(**kw)
    return e.value.response["Error"]["Code"]


def put(s3, bucket, rules):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def without_names(rules):
    return [{k: v for k, v in rule.items() if k != "ID"} for rule in rules]


def shown(gateway, bucket):
    return json.loads(gateway.cli("store", "lifecycle", "get", bucket, "--json"))


def test_rules_come_back_and_are_the_stores(gateway, s3, bucket):
    get = s3.get_bucket_lifecycle_configuration
    assert code(get, Bucket=bucket) == "NoSuchLifecycleConfiguration"
    put(s3, bucket, RULES)
    assert without_names(get(Bucket=bucket)["Rules"]) == without_names(RULES)
    day = 86400
    assert shown(gateway, bucket) == [{"prefix": "logs/", "expire": 30 * day},
                                      {"prefix": "", "noncurrent": 7 * day, "abort_uploads": 2 * day}]
    put(s3, bucket, RULES[:1])
    assert without_names(get(Bucket=bucket)["Rules"]) == without_names(RULES[:1])
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert code(get, Bucket=bucket) == "NoSuchLifecycleConfiguration"


def test_rules_for_checkpoints_stay(gateway, s3, bucket):
    gateway.cli("store", "lifecycle", "set", bucket, "--prefix", "ckpt/", "--keep-last", "3")
    assert code(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == "NoSuchLifecycleConfiguration"
    put(s3, bucket, RULES[:1])
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
    assert {"prefix": "ckpt/", "keep_last": 3} in shown(gateway, bucket)
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert shown(gateway, bucket) == [{"prefix": "ckpt/", "keep_last": 3}]
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"]


def test_two_rules_of_one_prefix_are_one(s3, bucket):
    put(s3, bucket, [{**RULES[0], "Expiration": {"Days": days}, "ID": str(days)} for days in (9, 5, 7)])
    assert [r["Expiration"]["Days"] for r in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]] == [5]


@pytest.mark.parametrize("rule, error", [
    ({"Filter": {"Prefix": ""}, "Status": "Enabled"}, "MalformedXML"),
    ({"Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": 0}}, "InvalidArgument"),
    ({"Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": 99999}}, "InvalidArgument"),
    ({"Filter": {"Prefix": ""}, "Status": "Disabled", "Expiration": {"Days": 1}}, "NotImplemented"),
    ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Status": "Enabled", "Expiration": {"Days": 1}}, "NotImplemented"),
    ({"Filter": {"Prefix": ""}, "Status": "Enabled", "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]},
     "NotImplemented")])
def test_what_would_not_be_carried_out_is_refused(s3, bucket, rule, error):
    assert code(put, s3=s3, bucket=bucket, rules=[rule]) == error
    assert code(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == "NoSuchLifecycleConfiguration"
