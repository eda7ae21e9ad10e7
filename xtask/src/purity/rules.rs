//! What must not be reached, and why.

/// Features that bring the standard library, a random generator or threads.
pub(super) const FEATURES: [&str; 10] = [
    "std",
    "getrandom",
    "os_rng",
    "sys_rng",
    "thread_rng",
    "wasm_js",
    "rayon",
    "parallel",
    "multithread",
    "rustc-dep-of-std",
];

/// Crates that may be reached, through one other crate only.
const EXCEPTIONS: [(&str, &str); 1] = [
    // On ARM, cpufeatures asks the C library once which instructions the processor has.
    ("libc", "cpufeatures"),
];

const RANDOM: &str = "a random generator of its own; entropy is an argument";
const CLOCK: &str = "a clock; time is an argument";
const THREAD: &str = "threads; they belong to the provider";
const FILE: &str = "files; storage belongs to the caller";
const SOCKET: &str = "sockets; the network belongs to the caller";
const SYSTEM: &str = "calls of the operating system";

const DISALLOWED: [(&str, &[&str]); 6] = [
    (RANDOM, &["getrandom", "rand", "rand_os", "rand_jitter", "fastrand", "oorandom", "uuid", "ahash", "const-random"]),
    (CLOCK, &["time", "chrono", "jiff", "instant", "web-time", "quanta", "coarsetime", "humantime", "minstant"]),
    (
        THREAD,
        &[
            "rayon",
            "rayon-core",
            "crossbeam",
            "crossbeam-channel",
            "crossbeam-utils",
            "threadpool",
            "num_cpus",
            "thread_local",
            "parking_lot",
            "async-std",
            "smol",
            "futures-executor",
            "async-executor",
        ],
    ),
    (FILE, &["tempfile", "memmap2", "walkdir", "fs-err", "fs2", "rusqlite", "libsqlite3-sys", "dirs", "log4rs"]),
    (
        SOCKET,
        &[
            "tokio",
            "mio",
            "socket2",
            "polling",
            "async-io",
            "hyper",
            "reqwest",
            "ureq",
            "curl",
            "tungstenite",
            "rustls",
            "native-tls",
            "openssl",
            "quinn",
        ],
    ),
    (
        SYSTEM,
        &[
            "libc",
            "nix",
            "rustix",
            "linux-raw-sys",
            "windows-sys",
            "windows",
            "winapi",
            "wasi",
            "js-sys",
            "web-sys",
            "wasm-bindgen",
            "aws-lc-rs",
            "aws-lc-sys",
        ],
    ),
];

/// Why the crate may not be reached through this other one, if it may not.
pub(super) fn disallowed(package: &str, through: &str) -> Option<&'static str> {
    if EXCEPTIONS.contains(&(package, through)) {
        return None;
    }
    DISALLOWED.iter().find(|(_, packages)| packages.contains(&package)).map(|(reason, _)| *reason)
}
