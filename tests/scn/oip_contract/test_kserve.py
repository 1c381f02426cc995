# SPDX-License-Identifier: Apache-2.0
"""KServe's own clients, unchanged, over its three forms: version 1 and 2 of REST, and gRPC."""

import asyncio

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

from serving_client import TIMEOUT

X = np.array([[1, 2, 3, 4.5], [-1, 0.25, 1e20, 0]], np.float32)


def request(name="m", binary=False, **how):
    made = InferInput(name="x", shape=list(X.shape), datatype="FP32")
    made.set_data_from_numpy(X, binary_data=binary)
    return InferRequest(model_name=name, infer_inputs=[made], request_id="the id", **how)


def rest(server, work, protocol="v2"):
    async def run():
        client = InferenceRESTClient(RESTConfig(protocol=protocol, timeout=TIMEOUT, retries=0))
        try:
            return await work(client, f"http://127.0.0.1:{server.port}")
        finally:
            await client.close()

    return asyncio.run(run())


def over_grpc(server, work):
    async def run():
        async with InferenceGRPCClient(f"127.0.0.1:{server.port}", timeout=TIMEOUT) as client:
            return await work(client)

    return asyncio.run(run())


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("outputs_binary", [False, True])
def test_predictions_over_version_two(server, binary, outputs_binary):
    asked = request(binary=binary, parameters={"binary_data_output": outputs_binary})
    reply = rest(server, lambda c, url: c.infer(url, asked, model_name="m"))
    assert (reply.model_name, reply.id) == ("m", "the id")
    np.testing.assert_array_equal(reply.outputs[0].as_numpy(), X * np.float32(2))
    assert reply.outputs[0].name == "y" and reply.outputs[0].datatype == "FP32" and list(reply.outputs[0].shape) == [2, 4]


def test_readiness_over_version_two(server):
    async def work(c, url):
        return (await c.is_server_live(url), await c.is_server_ready(url), await c.is_model_ready(url, "m"),
                await c.is_model_ready(url, "other"))

    assert rest(server, work) == (True, True, True, False)


def test_mistakes_are_told_by_status_and_text(server):
    for asked, name, status, why in ((request("other"), "other", 404, "model 'other' is not found"),
                                     (request("whole"), "whole", 400, "int32")):
        with pytest.raises(httpx.HTTPStatusError) as failure:
            rest(server, lambda c, url: c.infer(url, asked, model_name=name))  # noqa: B023
        assert failure.value.response.status_code == status and why in str(failure.value)


def test_predictions_over_version_one(server):
    reply = rest(server, lambda c, url: c.infer(url, {"instances": X.tolist()}, model_name="m"), "v1")
    np.testing.assert_array_equal(np.float32(reply["predictions"]), X * np.float32(2))


def test_predictions_over_grpc(server):
    reply = over_grpc(server, lambda c: c.infer(request()))
    assert (reply.model_name, reply.model_version, reply.id) == ("m", "12", "the id")
    np.testing.assert_array_equal(reply.outputs[0].as_numpy(), X * np.float32(2))
    raw = request(binary=True)
    np.testing.assert_array_equal(over_grpc(server, lambda c: c.infer(raw)).outputs[0].as_numpy(), X * np.float32(2))


def test_readiness_over_grpc(server):
    async def work(c):
        return await c.is_server_live(), await c.is_server_ready(), await c.is_model_ready("m"), await c.is_model_ready("other")

    assert over_grpc(server, work) == (True, True, True, False)


def test_mistakes_over_grpc(server):
    with pytest.raises(grpc.RpcError) as failure:
        over_grpc(server, lambda c: c.infer(request("other")))
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND and "model 'other' is not found" in failure.value.details()
