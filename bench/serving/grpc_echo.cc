// SPDX-License-Identifier: Apache-2.0
// What gRPC's own C++ library costs for the same call: an asynchronous server that answers Predict with its inputs.
//
// One completion queue, one thread, protobuf messages in arenas of the library's choice. Prints its port.
#include <grpcpp/grpcpp.h>
#include <cstdio>
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

using tensorflow::serving::PredictRequest;
using tensorflow::serving::PredictResponse;
using tensorflow::serving::PredictionService;

struct Call {
	Call(PredictionService::AsyncService *service, grpc::ServerCompletionQueue *queue)
	    : service(service), queue(queue), writer(&context)
	{
		service->RequestPredict(&context, &request, &writer, queue, queue, this);
	}
	void proceed(bool ok)
	{
		if (finished || !ok) {
			delete this;
			return;
		}
		new Call(service, queue);
		response.mutable_model_spec()->Swap(request.mutable_model_spec());
		response.mutable_outputs()->swap(*request.mutable_inputs());
		finished = true;
		writer.Finish(response, grpc::Status::OK, this);
	}
	PredictionService::AsyncService *service;
	grpc::ServerCompletionQueue *queue;
	grpc::ServerContext context;
	PredictRequest request;
	PredictResponse response;
	grpc::ServerAsyncResponseWriter<PredictResponse> writer;
	bool finished = false;
};

int main()
{
	PredictionService::AsyncService service;
	grpc::ServerBuilder builder;
	int port = 0;

	builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
	builder.RegisterService(&service);
	std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
	std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
	if (!server)
		return 1;
	printf("%d\n", port);
	fflush(stdout);
	for (int i = 0; i < 512; i++)
		new Call(&service, queue.get());
	void *tag;
	bool ok;
	while (queue->Next(&tag, &ok))
		static_cast<Call *>(tag)->proceed(ok);
	return 0;
}
