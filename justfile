# What a developer runs. Every recipe is a thin call of cargo or of a script, and `.ci/run` calls the same, so nothing needs `just` itself
# (`cargo install just` brings it).

# Quick checks, then the tests that need only Rust.
default: fmt lint test

# Is everything formatted?
fmt:
    cargo fmt --all --check

# clippy, warnings denied
lint:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

# Everything that needs only Rust.
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# Seeds of the simulator, optimised, on all cores: just sim 20000; a second number is where to start.
sim SEEDS='10000' FIRST='0':
    SIM_SEEDS={{SEEDS}} SIM_FIRST={{FIRST}} cargo test --release --locked -p protocol-tests --test soak -- --nocapture whatever_goes_wrong

# One seed again, with all that happens. A failing seed prints what is left of it: SIM_KEEP=3,7 just replay SEED strikes with only these faults.
replay SEED:
    SIM_SEED={{SEED}} cargo test --locked -p protocol-tests --test soak -- --nocapture whatever_goes_wrong

# Model-checks what callers and the sender share, on thousands of schedules per operation: just shuttle memory
shuttle *ARGS:
    scripts/shuttle {{ARGS}}

# Deliberate bugs in the producer, one after the other: the simulator has to find each. just mutants write: and their table in docs/ is written anew.
mutants *ARGS:
    scripts/mutants {{ARGS}}

# Coverage-guided fuzzing of everything that reads bytes of others, 60 s each; needs a C++ compiler, because libFuzzer is C++: just fuzz -t 600 zstd
fuzz *ARGS:
    scripts/fuzz {{ARGS}}

# rustdoc, warnings denied
doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --document-private-items --all-features --locked

# Proves that nothing compiles C.
no-c:
    scripts/no-c

# cargo deny: advisories, licences, banned crates, duplicates.
deny:
    scripts/deny

# check: type-checks for other targets; musl: one static binary, run; install: what both need
targets *ARGS:
    scripts/targets {{ARGS}}

# Start a real Kafka; --version 3.9.2, --nodes 3, --port-base 19092
kafka-up *ARGS:
    scripts/kafka up {{ARGS}}

# Stop it.
kafka-down *ARGS:
    scripts/kafka down {{ARGS}}

# The suite against a real Kafka: 4.3.1 with one node and with three, and 3.9.2.
test-kafka *ARGS:
    scripts/test-kafka {{ARGS}}

# Ten minutes of trouble for a real Kafka of three nodes, with every outcome checked by Kafka's own consumer: just chaos 2 SEED
chaos *ARGS:
    scripts/chaos {{ARGS}}

# Write the golden vectors anew, with the Java client's own classes and librdkafka.
golden:
    scripts/golden

# What a record costs: instructions (needs valgrind), then times.
bench *ARGS:
    benches/counts
    cargo bench -p milena-benches {{ARGS}}

# milena beside other clients, and docs/performance.md from it: just bench-peers --rounds 3 --only 100,1000-lz4
bench-peers *ARGS:
    benches/peers/build
    cargo build --release --locked -p milena-benches --bin sink --bin peers
    ${CARGO_TARGET_DIR:-target}/release/peers measure {{ARGS}}
    ${CARGO_TARGET_DIR:-target}/release/peers report docs/performance.json docs/performance.md

# Fails if a record has come to cost more instructions (in proportion to copying it) or allocations than benches/limits says.
gate:
    benches/gate

# All that CI runs.
ci:
    .ci/run
