# Lists the recipes.
default:
    @just --list

# All tests.
test:
    cargo test --workspace

# Formatting, lints, the purity of the protocol crates and the rows, as CI checks them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo run --quiet -p xtask -- purity
    cargo run --quiet -p xtask -- conformance

# The documentation, with warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Takes each check out in turn and sees whether a test of its rows fails.
mutants *ARGUMENTS:
    cargo run --quiet -p xtask -- mutants {{ARGUMENTS}}

# The demonstration.
demo:
    cargo run --release -- demo

# Keyroom beside mls-rs and OpenMLS.
compare *ARGUMENTS:
    cd bench && cargo run --release -- compare {{ARGUMENTS}}

# The MLS working group's test interface.
interop *ARGUMENTS:
    cd interop && cargo run --release -- {{ARGUMENTS}}

# The negative vectors, written anew, and what mls-rs and OpenMLS do with them.
negative:
    cargo run -p keyroom-negative
    cargo run --release -p keyroom-peers -- verdicts

# Licences, advisories and banned crates; needs cargo-deny.
deny:
    cargo deny check

# Everything that CI runs.
ci:
    .ci/run
