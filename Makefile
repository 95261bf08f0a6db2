# Two commands do everything: `make demo` and `make test`. `make check` is the rest of what CI runs.

VENV := .venv
LOCAL_AWS := $(VENV)/ready
FUNCTIONS := collect-metrics forecast decide execute health-check
# Named one by one: the release profile links as a whole, which the command line and the tests need not pay for.
LAMBDA := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo lambda build --release --lambda-dir target/lambda $(FUNCTIONS:%=-p %)
RENDERED := target/scaling.asl.json

.PHONY: demo test check lambdas release clean

# Three cycles of a shop on a local AWS. TRACE=FILE.csv replays your own load; KEEP=1 keeps it running.
demo: $(LOCAL_AWS) lambdas
	cargo run -q -p headroom-tests --bin demo -- $(if $(TRACE),--trace "$(TRACE)") $(if $(KEEP),--keep)

# Unit, property and adapter tests, then the end-to-end tests on a local AWS.
test: $(LOCAL_AWS)
	cargo build --workspace --all-targets
	cargo test --workspace

check: $(LOCAL_AWS) node_modules/.package-lock.json
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features headroom/aws -- -D warnings
	cargo clippy -p headroom --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	$(VENV)/bin/cfn-lint -t template.yaml -t examples/shop/resources.yaml
	mkdir -p target
	sed -e 's/$${Partition}/aws/' -e 's/$${[A-Za-z]*Arn}/arn:aws:lambda:us-east-1:123456789012:function:f/' statemachine/scaling.asl.json > $(RENDERED)
	node_modules/.bin/asl-validator --json-path $(RENDERED)

# The functions for this machine, as the demo deploys them.
lambdas: $(LOCAL_AWS)
	$(LAMBDA)

# The functions for an account: arm64 is cheaper, and the template's default.
release: $(LOCAL_AWS)
	$(LAMBDA) --arm64

# Python tools of pinned versions, in a folder of the project's own.
$(LOCAL_AWS): tests/local-aws/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/local-aws/requirements.txt
	touch $@

node_modules/.package-lock.json: package-lock.json
	npm ci --silent

clean:
	rm -rf target $(VENV) node_modules
