//! The certificate: its time and its name. Whether the key belongs to it is known from the settings.

use std::time::Duration;

use keyroom_server::Config;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_cert::der::Decode as _;

use super::{Finding, days};

const ABOUT: &str = "certificate";

/// Renewal should have happened by then.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

pub(super) fn examine(config: &Config, now: Duration) -> Vec<Finding> {
    let Some(files) = &config.tls else {
        return vec![match config.listen.ip().is_loopback() {
            true => Finding::ok(ABOUT, "none, and only this machine reaches the server"),
            false => Finding::warning(
                ABOUT,
                "requests travel in the clear: set tls.certificate and tls.key, or listen on a loopback address \
                 behind a proxy that speaks TLS",
            ),
        }];
    };
    // What is wrong with the files was told with the settings.
    let Ok(chain) = files.chain() else { return Vec::new() };
    let Some(own) = chain.first() else { return Vec::new() };
    vec![time(own, now), name(own, config)]
}

fn time(certificate: &CertificateDer<'_>, now: Duration) -> Finding {
    let Ok(parsed) = x509_cert::Certificate::from_der(certificate) else {
        return Finding::failed(ABOUT, "it cannot be read: give one in PEM");
    };
    let validity = parsed.tbs_certificate().validity();
    let (from, until) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    if now < from {
        return Finding::failed(ABOUT, "its time has not come: check the clock, or give the one before");
    }
    match until.checked_sub(now) {
        None => Finding::failed(ABOUT, format!("it expired {} days ago: renew it and send SIGHUP", days(now - until))),
        Some(left) if left < SOON => {
            Finding::warning(ABOUT, format!("it expires in {} days: renew it and send SIGHUP", days(left)))
        }
        Some(left) => Finding::ok(ABOUT, format!("it is good for {} days", days(left))),
    }
}

fn name(certificate: &CertificateDer<'_>, config: &Config) -> Finding {
    let host = config.host.to_string();
    let good = ParsedCertificate::try_from(certificate)
        .ok()
        .zip(ServerName::try_from(host.as_str()).ok())
        .is_some_and(|(certificate, name)| verify_server_name(&certificate, &name).is_ok());
    match good {
        true => Finding::ok(ABOUT, format!("it is good for {host}")),
        false => Finding::warning(
            ABOUT,
            format!("it is not good for {host}: right only if clients reach the server under another name"),
        ),
    }
}
