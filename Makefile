# Two commands do everything: `make demo` and `make test`. `make check` is the rest of what CI runs.

VENV := .venv
LOCAL_AWS := $(VENV)/ready
FUNCTIONS := collect-metrics forecast decide execute health-check
# Only these are linked as a whole, for an account: demo and tests run what one fast build made for both.
LAMBDA := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo lambda build --release --lambda-dir target/lambda $(FUNCTIONS:%=-p %)
# Always the whole workspace: another choice of packages has other features, and builds the AWS SDK once more.
FEATURES := --features headroom/aws
BUILD := cargo build --workspace --all-targets $(FEATURES)
RENDERED := target/scaling.asl.json

CYCLES := 200
SEED := 1

.PHONY: demo test quick mutants cycles check lambdas packages release clean

# Three cycles of a shop on a local AWS, each checked. TRACE=FILE.csv replays your own load; KEEP=1 keeps it running; REAL=1
# lets capacity take its time.
demo: BEGUN := $(shell date +%s)
demo: $(LOCAL_AWS)
	$(BUILD)
	cargo run --example demo -- --begun $(BEGUN) $(if $(TRACE),--trace "$(TRACE)") $(if $(KEEP),--keep) $(if $(REAL),--real)

# Unit, property and adapter tests, then the end-to-end tests on a local AWS.
test: $(LOCAL_AWS)
	$(BUILD)
	cargo test --workspace $(FEATURES)

# While you work: format, clippy of what differs from main, and the tests of all thinking. Nothing of the AWS SDK is built
# unless a crate that uses it has changed.
# Replays of whole examples take as long as all other tests together; `make test` runs them.
WHOLE_REPLAYS := all_tiers_of_the_e_commerce_examples other_objectives_are_replayed
PURE := -p headroom-forecast -p headroom-core -p headroom-rooms
CHANGED = $(shell git diff --name-only $$(git merge-base HEAD main 2>/dev/null || echo HEAD); git ls-files -o --exclude-standard)
quick:
	cargo fmt --all --check
	cargo clippy $(if $(filter-out shared/core/% shared/forecast/% shared/rooms/%,$(filter %.rs,$(CHANGED))),--workspace --features headroom/aws,$(PURE)) --all-targets -- -D warnings
	cargo test $(PURE) -- $(WHOLE_REPLAYS:%=--skip %)

# Which small changes of the code of decisions, plans, journal and lease no test of the core notices. It takes hours; those
# that are left are in target/mutants.out/missed.txt.
MUTANTS := 27.1.0
MUTATED := 'shared/core/src/decide/**' 'shared/core/src/plan/**' shared/core/src/journal.rs shared/core/src/lease.rs
mutants:
	cargo install cargo-mutants --version $(MUTANTS) --locked --root target/tools
	nice target/tools/bin/cargo-mutants mutants -p headroom-core $(MUTATED:%=-f %) --baseline=skip --timeout 300 -j1 --output target -- --lib

# Random cycles on a local AWS that is slow and breaks, each checked. CYCLES=20 runs fewer; SEED=7 draws others.
cycles: $(LOCAL_AWS)
	$(BUILD)
	cargo run --example cycles -- --cycles $(CYCLES) --seed $(SEED)

check: $(LOCAL_AWS) node_modules/.package-lock.json
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings
	cargo clippy -p headroom --all-targets -- -D warnings
	cargo test -p headroom # The command line without the AWS SDK, which `make test` does not build.
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	$(VENV)/bin/cfn-lint -t template.yaml -t examples/shop/resources.yaml
	mkdir -p target
	sed -e 's/$${Partition}/aws/' -e 's/$${[A-Za-z]*Arn}/arn:aws:lambda:us-east-1:123456789012:function:f/' statemachine/scaling.asl.json > $(RENDERED)
	node_modules/.bin/asl-validator --json-path $(RENDERED)

# The functions for this machine, as the demo deploys them.
lambdas: $(LOCAL_AWS)
	$(LAMBDA)

# How large each function is and how long it takes to start, against 5 MB and 30 ms. Those of `make release` have sizes only,
# unless this machine is of their kind.
packages: lambdas
	$(VENV)/bin/python tests/packages.py target/lambda

# The functions for an account: arm64 is cheaper, and the template's default.
release: $(LOCAL_AWS)
	$(LAMBDA) --arm64

# Python tools of pinned versions, in a folder of the project's own.
$(LOCAL_AWS): tests/local-aws/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --progress-bar on --disable-pip-version-check -r tests/local-aws/requirements.txt
	touch $@

node_modules/.package-lock.json: package-lock.json
	npm ci --silent

clean:
	rm -rf target $(VENV) node_modules
