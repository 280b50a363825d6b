# The front door. `just` alone lists what there is; each recipe does its own set-up.

# No recipe names a package: cargo then builds what they share once, with the features that all of the workspace wants.
image := "cargo run --release --quiet --bin image --"
tests := "cargo run --release --quiet --bin"

# List the recipes
default:
    @just --list --unsorted

# Boot the image in QEMU, show its first answer, and leave it running until Ctrl-C
up *ARGS: setup page
    {{tests}} vm -- up {{ARGS}}

# All that is run here is built with the tests: `cargo run` would build it once more, without what only tests need.
# Run all tests: lints, beside the code, the daemons on this host, the image in QEMU; with the time of each
test *ARGS: setup lint-page lint
    cargo test --release --quiet --workspace --no-run
    "$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/suites" {{ARGS}}

# The quick loop: lints and the tests beside the code; downloads nothing but crates
check: lint
    cargo test --release --workspace --exclude tests

# Print the long tables: times, memory, security, ten questions two ways, kills, faults, load, energy (simulated)
prove: setup page
    {{tests}} vm -- prove
    {{tests}} cycles
    {{tests}} cycles -- --park
    {{tests}} conformance
    {{tests}} load
    cargo run --release --quiet --package control --example energy

# Compare products on every path with their definition, AVX-VNNI and AMX too, on an emulated processor
prove-paths *ARGS:
    {{tests}} bochs -- {{ARGS}}

# Run the three daemons on this machine without root; hearthd only observes
dev *ARGS: setup page
    {{tests}} dev -- {{ARGS}}

# Build the disk image, unless it is up to date (--compress, --fresh)
image *ARGS: setup page
    {{image}} build {{ARGS}}

# Write the image to a disk with your SSH key and a new token; without DEVICE, list the disks that would do
flash *ARGS: setup page
    {{image}} flash {{ARGS}}

# The virtual machine's own commands: up, test, prove
vm *ARGS: setup page
    {{tests}} vm -- {{ARGS}}

# Install the packages, the tools tree and the model that builds and tests need
setup:
    {{image}} setup

# Build the page that the gateway serves, unless it is up to date
page:
    cd agent/gateway/dashboard && { test -d node_modules || npm ci --no-audit --no-fund; }
    cd agent/gateway/dashboard && { node check/sources.mjs || npm run build; }

# Formatting, types, unit tests and size of the page
lint-page: page
    cd agent/gateway/dashboard && npm run --silent check

# Formatting and warnings
lint:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets --quiet -- --deny warnings

# Measure what the gateway costs in time and memory
bench:
    cargo bench --package gateway --bench cost

# The engine beside llama.cpp and candle: speed, memory, quality. Hours; `just bench-peers speed --quick` takes twenty minutes
bench-peers *ARGS:
    cargo run --release --quiet --package peers -- {{ARGS}}

# Licences, sources and bans of dependencies; needs `cargo install --locked cargo-deny`
deny:
    cargo deny check bans licenses sources
