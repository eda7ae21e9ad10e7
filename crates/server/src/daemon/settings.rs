//! Every setting, once: its name in the file, from which those of its flag and variable follow, its default and
//! what it means.

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A text or a number.
    Value,
    /// The same, and it may hold a password.
    Secret,
    /// `true` or `false`; a flag without value means `true`.
    Switch,
}

macro_rules! settings {
    ($($setting:ident: $name:literal, $default:literal, $shape:ident, $value:literal, $meaning:literal;)*) => {
        /// One setting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Setting { $($setting),* }

        impl Setting {
            /// All of them, as they are shown.
            pub(super) const ALL: &[Self] = &[$(Self::$setting),*];

            /// Its name in the file; a dot stands between a table and a key.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$setting => $name),* }
            }

            /// What holds if nobody says anything; empty for nothing.
            pub(super) fn default(self) -> &'static str {
                match self { $(Self::$setting => $default),* }
            }

            /// What it takes.
            pub(super) fn shape(self) -> Shape {
                match self { $(Self::$setting => Shape::$shape),* }
            }

            /// What stands for a value in the help.
            pub(super) fn value_name(self) -> &'static str {
                match self { $(Self::$setting => $value),* }
            }

            /// What it means.
            pub(super) fn meaning(self) -> &'static str {
                match self { $(Self::$setting => $meaning),* }
            }
        }
    };
}

settings! {
    Listen: "listen", "127.0.0.1:8440", Value, "ADDRESS:PORT", "Address and port to listen on";
    Host: "host", "localhost", Value, "HOST", "Host in the names of users, devices and rooms";
    Database: "database", "keyroom.db", Secret, "FILE|URL",
        "A SQLite file, created if it is not there, or the address of a PostgreSQL database that several servers \
         may share: postgres://user:password@host/name. Other users of this machine can read arguments: give an \
         address with a password in the environment or the file";
    Connections: "connections", "16", Value, "NUMBER", "Most connections to PostgreSQL";
    Bus: "bus", "", Secret, "URL",
        "Address of a NATS server that carries wake-ups between the servers of one database: \
         nats://user:password@host:4222";
    Poll: "poll", "30", Value, "SECONDS",
        "Seconds after which a live connection looks for news although no wake-up came";
    TrustDeviceHeader: "trust_device_header", "false", Switch, "BOOL",
        "Believe the header Keyroom-Device instead of asking devices for proof: whoever reaches this server can be \
         any device. Only behind something that authenticates and sets the header itself";
    PrivateHandshakes: "private_handshakes", "false", Switch, "BOOL",
        "Take rooms whose commits this server cannot read, and so cannot check. Others are not touched by it";
    Log: "log", "info", Value, "FILTER",
        "What to log: error, warn, info, debug, or filters such as keyroom_server=debug";
    Drain: "drain", "0", Value, "SECONDS",
        "Seconds between a request to stop, from which on /readyz says no, and the stop itself";
    TlsCertificate: "tls.certificate", "", Value, "FILE",
        "Certificate chain in PEM; without it connections are in the clear. It is read again on SIGHUP";
    TlsKey: "tls.key", "", Value, "FILE", "Its private key in PEM, which nobody else may be able to read";
    RateDevice: "rates.device", "0", Value, "NUMBER", "Requests that a device may send in a second; 0 for all";
    RateDeviceBurst: "rates.device_burst", "", Value, "NUMBER",
        "How many of them at once; without it, ten times as many";
    RateAddress: "rates.address", "0", Value, "NUMBER",
        "Requests that may come from one address in a second; 0 for all";
    RateAddressBurst: "rates.address_burst", "", Value, "NUMBER",
        "How many of them at once; without it, ten times as many";
    RateAddressHeader: "rates.address_header", "", Value, "HEADER",
        "Header in which the proxy in front says where requests come from, such as X-Forwarded-For. Only where \
         nobody reaches this server past that proxy";
    MetricsListen: "metrics.listen", "", Value, "ADDRESS:PORT",
        "Address and port at which Prometheus finds /metrics, in the clear: never one that clients reach";
    Body: "limits.body", "64 MiB", Value, "SIZE", "Longest body with a GroupInfo or commit";
    Message: "limits.message", "1 MiB", Value, "SIZE", "Longest application message or proposal";
    Batch: "limits.batch", "8 MiB", Value, "SIZE", "Longest batch of key packages";
    KeyPackages: "limits.key_packages", "1000", Value, "NUMBER", "Most unclaimed key packages of a device";
    Claims: "limits.claims", "60", Value, "NUMBER",
        "How often a device may claim key packages of one user in an hour";
    Mailbox: "limits.mailbox", "1000", Value, "NUMBER", "Most Welcomes that wait in a mailbox";
    Addressees: "limits.addressees", "10000", Value, "NUMBER", "Most addressees of the Welcomes of one commit";
    LiveRooms: "limits.live_rooms", "1000", Value, "NUMBER", "Most rooms that one live connection subscribes to";
    Session: "limits.session", "900", Value, "SECONDS", "How long a session lasts";
    Transfer: "limits.transfer", "60", Value, "SECONDS", "Longest time for a body or a frame to arrive or leave";
}

impl Setting {
    /// The setting with this name in the file.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|setting| setting.name() == name)
    }

    /// Its flag, without the two dashes.
    pub(super) fn flag(self) -> String {
        self.name().replace(['.', '_'], "-")
    }

    /// Its environment variable.
    pub(super) fn variable(self) -> String {
        format!("KEYROOM_{}", self.name().replace('.', "_").to_uppercase())
    }

    /// The table of the file in which it stands.
    pub(super) fn table(self) -> Option<&'static str> {
        self.name().split_once('.').map(|(table, _)| table)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_name_a_flag_or_a_variable() {
        let count = |name: fn(Setting) -> String| Setting::ALL.iter().map(|s| name(*s)).collect::<BTreeSet<_>>().len();
        assert_eq!(count(|setting| setting.name().into()), Setting::ALL.len());
        assert_eq!(count(Setting::flag), Setting::ALL.len());
        assert_eq!(count(Setting::variable), Setting::ALL.len());
    }

    #[test]
    fn flag_and_variable_follow_from_the_name() {
        assert_eq!(Setting::LiveRooms.flag(), "limits-live-rooms");
        assert_eq!(Setting::LiveRooms.variable(), "KEYROOM_LIMITS_LIVE_ROOMS");
        assert_eq!(Setting::named("limits.live_rooms"), Some(Setting::LiveRooms));
    }
}
