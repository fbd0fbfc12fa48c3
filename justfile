# Every task of this repository is a recipe here; CI calls the same ones (.ci/run).
# No just? `./justw RECIPE` fetches it. Nothing here needs root; tools land in .tools/.

set shell := ["bash", "-euo", "pipefail", "-c"]

tools := justfile_directory() / ".tools"

# Where tests and the demo find the servers. Both may be set by the caller.
export SKEIN_NATS_SERVER := env("SKEIN_NATS_SERVER", tools / "bin/nats-server")
export KUBEBUILDER_ASSETS := env("KUBEBUILDER_ASSETS", tools / "kube")

# Commands select the whole workspace, so that features are the same and builds are shared.
cargo_test := "cargo test --locked --workspace"

# List the recipes
default:
    @{{ just_executable() }} --list --unsorted

# Everything a fresh machine needs: tools and the compiled workspace
setup: tools
    cargo build --locked --workspace --all-targets

# Fetch nats-server into .tools/ unless it is on PATH
tools:
    @{{ if env("SKEIN_NATS_SERVER", "") == "" { ".ci/fetch.py nats-server >/dev/null" } else { "true" } }}

# Build a Kubernetes control plane (etcd, kube-apiserver, …, kwok) into .tools/kube, once
kube-tools:
    @.ci/kube-tools

# Format the sources
fmt:
    cargo fmt --all

# Check the format
fmt-check:
    cargo fmt --all --check

# Lint everything, warnings denied
clippy:
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Build the API documentation, warnings denied
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# All that must hold before a change lands
test: fmt-check clippy doc budget unit sim bus e2e
    @.ci/kube-tools --report

# Arrows, purity, size budgets, documents (tests/tests/arch.rs)
budget:
    {{ cargo_test }} --test arch

# Pure tests: unit, property, vectors, golden files, documentation examples
unit: tools
    {{ cargo_test }} --lib --bins $(.ci/suite.py unit)
    {{ cargo_test }} --doc

# Against real nats-servers
bus: tools
    {{ cargo_test }} $(.ci/suite.py bus)

# Everything together, on real Kubernetes API servers where they can be had
e2e: tools kube-tools
    cargo build --locked --workspace --bins
    {{ cargo_test }} $(.ci/suite.py e2e)
    @.ci/kube-tools --report

# Hub and agent cores on one seeded virtual clock, with loss and crashes (SKEIN_SIM_SEED=N repeats one)
sim SEEDS="12":
    SKEIN_SIM_SEEDS={{ SEEDS }} {{ cargo_test }} --test sim

# The main job on one machine, told step by step (--keep, --kubeconfig F --context A)
demo *ARGS: tools
    cargo build --locked --workspace --bins
    "${CARGO_TARGET_DIR:-target}/debug/demo" {{ ARGS }}

# Measure, and write docs/benchmarks.md
bench *ARGS: tools
    cargo build --locked --release --workspace --bins
    "${CARGO_TARGET_DIR:-target}/release/bench" {{ ARGS }}

# Licences, duplicate versions and sources of the dependencies (deny.toml)
deny:
    cargo deny --version >/dev/null 2>&1 || .ci/fetch.py cargo-deny >/dev/null
    PATH="{{ tools }}/bin:$PATH" cargo deny --locked check --hide-inclusion-graph bans licenses sources

# Fuzz every decoder for SECONDS each (needs a nightly compiler and a C++ compiler)
fuzz SECONDS="60":
    cargo fuzz --version >/dev/null 2>&1 || .ci/fetch.py cargo-fuzz >/dev/null
    # A corpus has one input per file: each golden line becomes one.
    mkdir -p fuzz/seeds
    for lines in schema/tests/golden/messages/*.jsonl; do \
        split --lines=1 "$lines" "fuzz/seeds/$(basename "$lines" .jsonl)-"; \
    done
    for target in fuzz/fuzz_targets/*.rs; do \
        mkdir -p "fuzz/corpus/$(basename "$target" .rs)"; \
        PATH="{{ tools }}/bin:$PATH" cargo +nightly fuzz run "$(basename "$target" .rs)" \
            "fuzz/corpus/$(basename "$target" .rs)" fuzz/seeds \
            schema/tests/golden/events schema/tests/golden/kinds -- -max_total_time={{ SECONDS }}; \
    done
