# SPDX-License-Identifier: Apache-2.0
"""Classify, Regress and MultiInference with a SavedModel that parses examples itself."""

import shutil

import grpc
import numpy as np
import pytest

from serving_client import TIMEOUT, Server, records
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, prediction_log_pb2, regression_pb2

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def server(models):
    with Server(models / "half_plus_two", "half") as server:
        yield server


def example(**features):
    made = example_pb2.Example()
    for name, value in features.items():
        made.features.feature[name].float_list.value.append(value)
    return made


def fill(request, signature, values, context=None):
    request.model_spec.name = "half"
    request.model_spec.signature_name = signature
    put(request.input, values, context)
    return request


def put(to, values, context=None):
    examples = [v if isinstance(v, example_pb2.Example) else example(x=v) for v in values]
    if context is None:
        to.example_list.examples.extend(examples)
    else:
        to.example_list_with_context.examples.extend(examples)
        to.example_list_with_context.context.CopyFrom(context)


def regress(server, signature, values, context=None):
    request = fill(regression_pb2.RegressionRequest(), signature, values, context)
    reply = server.prediction.Regress(request, timeout=TIMEOUT)
    return [r.value for r in reply.result.regressions], reply.model_spec


def classify(server, signature, values):
    request = fill(classification_pb2.ClassificationRequest(), signature, values)
    reply = server.prediction.Classify(request, timeout=TIMEOUT)
    assert (reply.model_spec.version.value, reply.model_spec.signature_name) == (123, signature)
    return [[(c.label, c.score) for c in one.classes] for one in reply.result.classifications]


def expect(code, text, call, *args, **how):
    with pytest.raises(grpc.RpcError) as failure:
        call(*args, **how)
    assert failure.value.code() == code and text in failure.value.details(), failure.value


def test_regress(server):
    values, spec = regress(server, "regress_x_to_y", [1, 2, -4])
    assert values == [2.5, 3, 0] and (spec.name, spec.version.value, spec.signature_name) == ("half", 123, "regress_x_to_y")
    assert regress(server, "regress_x_to_y3", [2])[0] == [4]
    assert regress(server, "regress_x_to_y", range(5000))[0] == [x / 2 + 2 for x in range(5000)]


def test_a_context_is_shared_and_examples_win(server):
    plain = example_pb2.Example()
    assert regress(server, "regress_x_to_y", [plain, 10], example(x=4))[0] == [4, 7]
    assert regress(server, "regress_x2_to_y3", [1, example(x=1, x2=8)], example(x2=2))[0] == [4, 7]


def test_classify_with_labels_scores_or_both(server):
    assert classify(server, "classify_x_to_y", [1, 2]) == [[("", 2.5)], [("", 3)]]
    assert classify(server, "classify_words", [1, -1]) == [[("big", 2.5), ("small", -2.5)], [("small", 1.5), ("small", -1.5)]]
    assert classify(server, "classify_labels", [1]) == [[("big", 0), ("small", 0)]]


def test_the_default_signature_and_typed_requests(server):
    assert server.predict({"x": np.float32([[2]])})[0]["y"].tolist() == [[3]]
    request = server.request({"inputs": np.array([example(x=2).SerializeToString()], object)}, signature="regress_x_to_y")
    assert server.prediction.Predict(request, timeout=TIMEOUT).outputs["outputs"].float_val == [3]


def test_what_does_not_fit_is_refused_with_a_reason(server):
    expect(INVALID, f"method_name to be {REGRESS}", regress, server, "classify_x_to_y", [1])
    expect(INVALID, f"method_name to be {CLASSIFY}. Was: {REGRESS}", classify, server, "regress_x_to_y", [1])
    expect(INVALID, "Was: tensorflow/serving/predict", regress, server, "", [1])
    expect(INVALID, "Input is empty", regress, server, "regress_x_to_y", [])
    expect(INVALID, "Input is empty", regress, server, "regress_x_to_y", [], example(x=1))
    expect(INVALID, "Input is empty", server.prediction.Classify,
           classification_pb2.ClassificationRequest(model_spec={"name": "half", "signature_name": "classify_words"}))
    expect(INVALID, "Feature: x (data type: float) is required", regress, server, "regress_x_to_y", [example(y=1)])
    expect(grpc.StatusCode.FAILED_PRECONDITION, "No regression inputs found", regress, server, "bad_name", [1])
    expect(INVALID, "[batch_size] or [batch_size, 1] but got [1,2]", regress, server, "bad_shape", [1])
    expect(INVALID, "DT_FLOAT. Got: DT_DOUBLE", classify, server, "bad_type", [1])
    expect(INVALID, "[batch_size num_classes] but got [2]", classify, server, "bad_rank", [1, 2])
    expect(INVALID, "did not match output batch size: 2 vs. 4", regress, server, "bad_count", [1, 2])
    expect(grpc.StatusCode.FAILED_PRECONDITION, "not found", regress, server, "absent", [1])
    expect(grpc.StatusCode.NOT_FOUND, "Servable", server.prediction.Regress,
           regression_pb2.RegressionRequest(model_spec={"name": "absent"}))


def tasks(*named):
    request = inference_pb2.MultiInferenceRequest()
    for method, signature, *name in named:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = (name or ["half"])[0], signature
    return request


def test_several_signatures_on_the_same_examples(server):
    request = tasks((REGRESS, "regress_x_to_y"), (CLASSIFY, "classify_x_to_y"), (REGRESS, "regress_x_to_y3"))
    put(request.input, [2, 4])
    results = server.prediction.MultiInference(request, timeout=TIMEOUT).results
    assert [r.value for r in results[0].regression_result.regressions] == [3, 4]
    assert [c.classes[0].score for c in results[1].classification_result.classifications] == [3, 4]
    assert [r.value for r in results[2].regression_result.regressions] == [4, 5]
    assert [(r.model_spec.version.value, r.model_spec.signature_name) for r in results] == [
        (123, "regress_x_to_y"), (123, "classify_x_to_y"), (123, "regress_x_to_y3")]


@pytest.mark.parametrize("named, code, text", [
    ([], INVALID, "at least one task"),
    ([(REGRESS, "regress_x_to_y"), (REGRESS, "regress_x_to_y", "other")], INVALID, "must access the same model name"),
    ([(REGRESS, "regress_x_to_y"), (REGRESS, "regress_x_to_y")], INVALID, "Duplicate evaluation of signature: regress_x_to_y"),
    ([("tensorflow/serving/predict", "serving_default")], grpc.StatusCode.UNIMPLEMENTED, "Unsupported signature method_name"),
    ([(REGRESS, "regress_x_to_y", "")], INVALID, "empty model name"),
    ([(REGRESS, "classify_x_to_y")], INVALID, "method_name to be"),
    ([(REGRESS, "regress_x_to_y"), (REGRESS, "bad_shape")], INVALID, "but got [1,2]"),
])
def test_tasks_that_cannot_be_done_together(server, named, code, text):
    request = tasks(*named)
    put(request.input, [1])
    expect(code, text, server.prediction.MultiInference, request, timeout=TIMEOUT)


def rest(server, verb, body):
    return server.http("POST", f"/v1/models/half:{verb}", body)


def test_rest(server):
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}, {"x": [2.5]}]}
    assert rest(server, "regress", body) == (200, {"results": [2.5, 3.25]})
    body = {"signature_name": "regress_x_to_y", "context": {"x": 4.0}, "examples": [{}, {"x": 1.5}]}
    assert rest(server, "regress", body) == (200, {"results": [4.0, 2.75]})
    body = {"signature_name": "classify_words", "examples": [{"x": 1.0}]}
    assert rest(server, "classify", body) == (200, {"results": [[["big", 2.5], ["small", -2.5]]]})
    status, reply = server.http("POST", "/V1/Models/half/Versions/123:CLASSIFY", body)
    assert status == 200 and len(reply["results"][0]) == 2


@pytest.mark.parametrize("verb, body, status, text", [
    ("regress", {"examples": [{"x": 1.0}]}, 400, "Was: tensorflow/serving/predict"),
    ("regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 1}]}, 400, "Data types don't match"),
    ("classify", {"signature_name": "none", "examples": [{"x": 1.0}]}, 400, '"none" not found'),
    ("classify", {"signature_name": "classify_words"}, 400, "'examples' is expected"),
    ("regress", {"signature_name": "regress_x_to_y", "examples": [{"x": ["a", 1]}]}, 400, "Unexpected element type"),
])
def test_rest_errors(server, verb, body, status, text):
    code, reply = rest(server, verb, body)
    assert code == status and text in reply["error"], reply


def test_metrics_count_examples(models):
    with Server(models / "half_plus_two", "half") as server:
        regress(server, "regress_x_to_y", [1, 2, 3])
        assert rest(server, "classify", {"signature_name": "classify_words", "examples": [{"x": 1.0}]})[0] == 200
        text = server.raw("GET", "/metrics")
        for line in ('request_example_count_total{model="half"} 4', 'request_example_counts_bucket{model="half",le="1"} 1',
                     'request_example_counts_bucket{model="half",le="4"} 2',
                     'request_latency_count{model_name="half",API="Regress",entrypoint="GRPC"} 1',
                     'request_latency_count{model_name="half",API="classify",entrypoint="REST"} 1',
                     'runtime_latency_count{model_name="half",API="Classify",runtime="TF1"} 1'):
            assert line in text, line


def test_warm_up_with_all_kinds_of_requests(models, tmp_path):
    log = prediction_log_pb2.PredictionLog
    classify, regress, multi, wrong = log(), log(), log(), log()
    fill(classify.classify_log.request, "classify_x_to_y", [2.0])
    fill(regress.regress_log.request, "regress_x_to_y", [2.0, 3.0])
    for signature, method in (("classify_x_to_y", CLASSIFY), ("regress_x_to_y", REGRESS)):
        task = multi.multi_inference_log.request.tasks.add(method_name=method)
        task.model_spec.signature_name = signature
    put(multi.multi_inference_log.request.input, [2.0])
    fill(wrong.regress_log.request, "classify_x_to_y", [2.0])
    shutil.copytree(models / "half_plus_two", tmp_path / "half")
    version = next(p for p in (tmp_path / "half", *(tmp_path / "half").iterdir()) if (p / "saved_model.pb").exists())
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(records(*(m.SerializeToString() for m in (classify, regress, multi))))
    with Server(tmp_path / "half", "half") as server:
        code, log_text = server.stop()
        assert "records=3" in log_text
    file.write_bytes(records(classify.SerializeToString(), wrong.SerializeToString()))
    server = Server(tmp_path / "half", "half")
    code, log_text = server.stop()
    assert code not in (0, None) and "warm-up record 2: signature 'classify_x_to_y' is of method" in server.ready["error"]


def test_calls_that_their_clients_leave_are_not_computed(models, tmp_path):
    """One worker, busy with another model: whatever is cancelled meanwhile does not run."""
    config = tmp_path / "models"
    config.write_text("model_config_list {" + "".join(
        f'config {{ name: "{n}" base_path: "{models / folder}" model_platform: "tensorflow" }}'
        for n, folder in (("half", "half_plus_two"), ("mixed", "mixed"))) + "}")
    with Server(None, "half", flags=[f"--model_config_file={config}", "--workers=1"]) as server:
        busy = server.prediction.Predict.future(
            server.request({"steps": np.int32(400)}, signature="slow", name="mixed"), timeout=TIMEOUT)
        task = inference_pb2.InferenceTask(method_name=CLASSIFY)
        task.model_spec.name, task.model_spec.signature_name = "half", "classify_x_to_y"
        other = inference_pb2.InferenceTask(method_name=REGRESS)
        other.model_spec.name, other.model_spec.signature_name = "half", "regress_x_to_y"
        multi = inference_pb2.MultiInferenceRequest(tasks=[task, other])
        put(multi.input, [1])
        left = [server.prediction.Classify.future(
                    fill(classification_pb2.ClassificationRequest(), "classify_x_to_y", [1]), timeout=TIMEOUT),
                server.prediction.Regress.future(
                    fill(regression_pb2.RegressionRequest(), "regress_x_to_y", [1]), timeout=TIMEOUT),
                server.prediction.MultiInference.future(multi, timeout=TIMEOUT)]
        server.status()  # on the same connection: they have arrived
        for call in left:
            call.cancel()
        server.status()
        assert not busy.done()
        busy.result()
        assert regress(server, "regress_x_to_y", [2])[0] == [3]  # behind them in the queue
        text = server.raw("GET", "/metrics")
        assert ':tensorflow:serving:request_count{model_name="half",status="CANCELLED"} 3\n' in text
