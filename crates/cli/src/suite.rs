//! Which cipher suites the command line has, and how they are named on it.

use keyroom_awslc::AWSLC;
use keyroom_crypto::{CodePoints, Fallback, Provider as _, SuiteName};
use keyroom_rustcrypto::RUSTCRYPTO;
use keyroom_wire::CipherSuite;

/// aws-lc, and pure Rust for the suites that aws-lc lacks.
pub(crate) static PROVIDER: Fallback = Fallback::new(&AWSLC, &RUSTCRYPTO);

/// A suite from the command line: its number, in decimal or after `0x`, or its name.
pub(crate) fn parse(text: &str) -> Result<CipherSuite, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let named = || SuiteName::named(text).and_then(|name| CodePoints::DEFAULT.number(name));
    let suite = number.map(CipherSuite).or_else(named).ok_or_else(known)?;
    PROVIDER.suite(suite).map(|_| suite).map_err(|error| format!("{error}; {}", known()))
}

/// The name of a suite, with its number.
pub(crate) fn describe(suite: CipherSuite) -> String {
    let name = CodePoints::DEFAULT.name(suite).map_or("unknown", SuiteName::name);
    let number = if suite.0 < 0x1000 { suite.0.to_string() } else { format!("0x{:04x}", suite.0) };
    format!("{name} ({number})")
}

fn known() -> String {
    let all: Vec<String> = PROVIDER.suites().iter().map(|suite| describe(suite.cipher_suite())).collect();
    format!("the suites are {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_found_by_number_and_by_name() {
        for suite in PROVIDER.suites() {
            let suite = suite.cipher_suite();
            let name = CodePoints::DEFAULT.name(suite).map_or("", SuiteName::name);
            for text in [suite.0.to_string(), format!("0x{:04x}", suite.0), name.to_owned(), name.to_lowercase()] {
                assert_eq!(parse(&text), Ok(suite), "{text}");
            }
        }
    }

    #[test]
    fn every_suite_is_there_and_others_are_named_in_the_refusal() {
        assert_eq!(PROVIDER.suites().len(), SuiteName::COUNT);
        for text in ["", "0", "0x", "0xffff", "65536", "-1", "MLS_128"] {
            assert!(parse(text).is_err_and(|error| error.contains("MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87")));
        }
    }
}
