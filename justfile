# `just verify` checks and never writes; `just fix` writes.

# What must pass before a change lands, without installing anything.
verify:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- --deny warnings
    cargo test --locked --workspace

# Brings the format and the generated parts of the documents up to date.
fix:
    cargo fmt --all
    SYNOD_FIX=1 cargo test -p synod-e2e --test house --test documents

# The book, if mdbook is installed.
book:
    mdbook build docs
