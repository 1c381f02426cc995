#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A platform on this machine with a trained and served model in it; 'up' may be repeated, 'clean' removes everything.
set -eu

usage() {
	echo "usage: examples/demo.sh up | clean    (DEMO_PORT=8080, DEMO_FOLDER=.demo, CLOUDML=build/src/main/cloudml)" >&2
	exit 2
}

cd "$(dirname "$0")/.."
cloudml_program=${CLOUDML:-build/src/main/cloudml}
port=${DEMO_PORT:-8080}
folder=${DEMO_FOLDER:-$PWD/.demo}
data=$folder/data
name=digits
unset CLOUDML_ENDPOINT CLOUDML_TOKEN || true

cloudml() {
	"$cloudml_program" --data "$data" "$@"
}

step() {
	printf '\n== %s\n' "$*"
}

# One value of the JSON on standard input; empty when it is not there: field spec.uri
field() {
	python3 examples/demo_compare.py field "$1"
}

# The same code gives the same key, and the same key never makes a second job.
code_hash() {
	find examples/digits -type f \( -name '*.py' -o -name '*.toml' \) | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-16
}

# Sets job to the id of a completed training of this code.
train() {
	try=0
	while :; do
		key=demo-$(code_hash)-$try
		job=$(cloudml --json jobs submit examples/digits --detach --name "$name" --module digits.train \
			--framework tensorflow --cpu 2 --memory 4G --idempotency-key "$key" -- --model cnn --epochs 12 | field id)
		state=$(cloudml --json jobs describe "$job" | field state)
		if [ "$state" = completed ]; then
			echo "job $job has trained this code already; its results are used"
			return
		fi
		case $state in
		failed | cancelled)
			try=$((try + 1))
			[ "$try" -lt 20 ] || { echo "20 trainings of this code have failed; see: cloudml jobs logs $job" >&2; exit 1; }
			continue
			;;
		esac
		echo "job $job; the first one also builds the TensorFlow environment (0.4 GB to fetch)"
		cloudml jobs attach "$job" || {
			echo "the training has failed; see: $cloudml_program --data $data jobs logs $job" >&2
			exit 1
		}
		return
	done
}

# Makes the model serve the job's result; leaves it alone when it does.
serve() {
	model=$(cloudml --json models describe "$name" 2>/dev/null || true)
	state=$(printf %s "${model:-null}" | field state)
	if [ -n "$state" ]; then
		source=$(printf %s "$model" | field spec.job)$(printf %s "$model" | field spec.uri)
		case $state:$source in
		ready:*"$job"*)
			echo "model '$name' serves job $job already"
			return
			;;
		esac
		cloudml models delete "$name" >/dev/null
		while cloudml --json models describe "$name" >/dev/null 2>&1; do
			sleep 0.2
		done
	fi
	cloudml serve "$job" --name "$name"
}

predict() {
	cloudml store cat "$(cloudml --json jobs describe "$job" | field output_uri)holdout.json" >"$folder/holdout.json"
	python3 examples/demo_compare.py request "$folder/holdout.json" >"$folder/request.json"
	address=$(cloudml --json models describe "$name" | field address)
	cloudml --json models predict "$name" --grpc -f "$folder/request.json" >"$folder/grpc.json"
	cloudml --json models predict "$name" -f "$folder/request.json" >"$folder/api.json"
	curl -sS --fail-with-body -d "@$folder/request.json" "http://$address/v1/models/$name:predict" >"$folder/http.json"
	python3 examples/demo_compare.py table "$folder/holdout.json" "gRPC=$folder/grpc.json" "HTTP=$folder/http.json" \
		"API=$folder/api.json"
}

up() {
	[ -x "$cloudml_program" ] || { echo "'$cloudml_program' is not built; run 'make' first" >&2; exit 1; }
	mkdir -p "$folder"
	step "the platform"
	cloudml up --detach --port "$port"
	step "training: handwritten digits with Keras, code in examples/digits"
	train
	step "serving: gRPC and HTTP on one port"
	serve
	step "predicting digits that the training has not seen"
	predict
	step "look around"
	cloudml console
	cat <<-EOF

		try next:
		  export CLOUDML_DATA="$data"     # or --data on each command
		  $cloudml_program jobs logs $job
		  $cloudml_program jobs metrics $job
		  $cloudml_program models describe $name
		  curl -d @$folder/request.json http://$address/v1/models/$name:predict
		  cd examples/sklearn-iris && ../../$cloudml_program run --framework scikit-learn -- python train.py
		  make demo-clean                 # stop and remove everything
	EOF
}

clean() {
	if [ -d "$data" ] && [ -x "$cloudml_program" ]; then
		for model in $(cloudml models list --ids 2>/dev/null || true); do
			cloudml models delete "$model" || true
		done
		cloudml down --jobs || true
	fi
	rm -rf "$folder"
	echo "the demo is gone"
}

case ${1:-} in
up) up ;;
clean) clean ;;
*) usage ;;
esac
