# SPDX-License-Identifier: Apache-2.0
"""What a browser asks before it lets a page read a bucket, and is told with each answer."""
import pytest
import signer
from botocore.exceptions import ClientError

pytestmark = pytest.mark.parametrize("gateway", ["plain", "secure"], indirect=True)  # http and https
RULES = [{"AllowedOrigins": ["https://*.example.org"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["x-amz-*", "Range"],
          "ExposeHeaders": ["ETag", "x-amz-request-id"], "MaxAgeSeconds": 600},
         {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]}]
PAGE = "https://app.example.org"


@pytest.fixture
def rules(s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    return bucket


def ask(gateway, path, origin=PAGE, method="GET", headers=None):
    """A preflight: (status, headers in lower case)."""
    c = gateway.connection()
    given = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    c.request("OPTIONS", path, headers={k: v for k, v in given.items() if v is not None})
    answer = c.getresponse()
    answer.read()
    c.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}


def test_a_preflight_is_answered_by_the_first_rule_that_fits(gateway, rules):
    status, headers = ask(gateway, f"/{rules}/k", headers="X-Amz-Date, range")
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE and "Origin" in headers["vary"]
    assert headers["access-control-allow-methods"] == "GET, PUT"
    assert headers["access-control-allow-headers"] == "X-Amz-Date, range"
    assert headers["access-control-max-age"] == "600"
    status, headers = ask(gateway, f"/{rules}/k", origin="http://other", method="HEAD")
    assert (status, headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize("changed", [
    {"origin": "https://example.org"}, {"origin": "https://app.example.org.evil"}, {"origin": "http://app.example.org"},
    {"method": "DELETE"}, {"method": "POST"}, {"method": "get"}, {"headers": "x-amz-date, x-other"},
    {"origin": "http://other", "method": "GET"}])
def test_what_no_rule_allows_is_refused(gateway, rules, changed):
    status, headers = ask(gateway, f"/{rules}/k", **changed)
    assert status == 403 and "access-control-allow-origin" not in headers


def test_a_preflight_tells_nothing_of_buckets_without_rules(gateway, s3, bucket):
    assert ask(gateway, f"/{bucket}/k")[0] == ask(gateway, "/no-such-bucket/k")[0] == 403
    for missing in ({"origin": None}, {"method": None}):
        assert ask(gateway, f"/{bucket}/k", **missing)[0] == 400
    assert ask(gateway, "/")[0] == 400


def get(gateway, path, origin, credentials=None):
    given = {"Origin": origin} if origin else {}
    request = signer.make(credentials or gateway.credentials, "GET", path, headers=given)
    c = gateway.connection()
    c.request("GET", path, headers=request.headers)
    answer = c.getresponse()
    body = answer.read()
    c.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def test_every_answer_says_who_may_read_it(gateway, rules):
    status, headers, body = get(gateway, f"/{rules}/k", PAGE)
    assert (status, body) == (200, b"content")
    assert headers["access-control-allow-origin"] == PAGE and headers["access-control-expose-headers"] == "ETag, x-amz-request-id"
    status, headers, _ = get(gateway, f"/{rules}/missing", PAGE)
    assert status == 404 and headers["access-control-allow-origin"] == PAGE
    for origin in (None, "http://other"):
        status, headers, _ = get(gateway, f"/{rules}/k", origin)
        assert status == 200 and "access-control-allow-origin" not in headers


def test_rules_let_nobody_in(gateway, rules):
    wrong = {**gateway.credentials, "secret_access_key": "x" * 40}
    status, headers, body = get(gateway, f"/{rules}/k", PAGE, wrong)
    assert status == 403 and b"content" not in body


def test_rules_end_when_they_are_removed(gateway, s3, rules):
    s3.delete_bucket_cors(Bucket=rules)
    assert ask(gateway, f"/{rules}/k")[0] == 403
    assert "access-control-allow-origin" not in get(gateway, f"/{rules}/k", PAGE)[1]


@pytest.mark.parametrize("rule, code", [
    ({"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}, "InvalidRequest"),
    ({"AllowedMethods": ["OPTIONS"], "AllowedOrigins": ["*"]}, "InvalidRequest"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*.*"]}, "InvalidRequest"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["a*b*"]}, "InvalidRequest"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["*"]}, "InvalidRequest"),
    ({"AllowedMethods": [], "AllowedOrigins": ["*"]}, "MalformedXML"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": []}, "MalformedXML"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": [""]}, "MalformedXML"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": -1}, "MalformedXML")])
def test_a_rule_that_means_nothing_is_refused(s3, bucket, rule, code):
    with pytest.raises(ClientError) as e:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert e.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError) as e:
        s3.get_bucket_cors(Bucket=bucket)
    assert e.value.response["Error"]["Code"] == "NoSuchCORSConfiguration"
