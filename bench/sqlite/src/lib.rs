//! See this package's `Cargo.toml`.

pub use newer::*;
