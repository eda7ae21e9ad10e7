//! From texts to what the server is started with.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use keyroom_api::Host;
use keyroom_delivery::{Handshakes, Limits, NatsBus, Postgres};
use keyroom_server::{
    Authentication, Config, Database, Rate, Rates, TlsFiles, check_database_files, check_secret_file,
};
use tracing_subscriber::EnvFilter;

use super::fault::Fault;
use super::layers::Values;
use super::settings::Setting;

/// What is to run.
pub(super) struct Plan {
    /// Everything but the bus, which needs a runtime.
    pub(super) config: Config,
    /// The address of the bus.
    pub(super) bus: Option<String>,
    /// How long requests are served after a request to stop.
    pub(super) drain: Duration,
    /// What to log.
    pub(super) log: EnvFilter,
}

impl Plan {
    /// Makes sense of all values, as far as they have any, and tells of everything that is wrong.
    pub(super) fn read(values: &Values) -> (Option<Self>, Vec<Fault>) {
        let mut reader = Reader { values, faults: Vec::new() };
        let plan = reader.plan();
        reader.check_files(plan.as_ref());
        (plan, reader.faults)
    }
}

/// What to log while it is not known whether the settings are good.
pub(super) fn log_filter(values: &Values) -> EnvFilter {
    EnvFilter::try_new(values.value(Setting::Log).text).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Reads values and collects what is wrong with them.
struct Reader<'a> {
    values: &'a Values,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// All values are read, whatever is wrong with some.
    fn plan(&mut self) -> Option<Plan> {
        let host: Option<Host> = self.parsed(Setting::Host, "a DNS name in lower case, such as example.org");
        let database = self.database();
        let listen = self.parsed(Setting::Listen, "an address and a port, such as 127.0.0.1:8440");
        let metrics_listen = self.optional(Setting::MetricsListen, "an address and a port, such as 127.0.0.1:9440");
        let authentication = self.switch(Setting::TrustDeviceHeader, Authentication::TrustedHeader);
        let handshakes = self.switch(Setting::PrivateHandshakes, Handshakes::PublicAndPrivate);
        let limits = self.limits();
        let bus = self.bus();
        let drain = self.read(Setting::Drain, "a whole number of seconds", whole).map(Duration::from_secs);
        let (tls, rates) = (self.tls(), self.rates());
        let log = self.parsed(Setting::Log, "a level such as info, or a filter such as keyroom_server=debug");
        let config = Config {
            listen: listen?,
            metrics_listen: metrics_listen?,
            tls: tls?,
            rates: rates?,
            authentication: authentication?,
            handshakes: handshakes?,
            limits: limits?,
            ..Config::new(host?, database?)
        };
        Some(Plan { config, bus: bus?, drain: drain?, log: log? })
    }

    fn database(&mut self) -> Option<Database> {
        let connections = self.number(Setting::Connections);
        let database =
            self.read(Setting::Database, "the path of a file or postgres://user:password@host/name", |text| {
                let Ok(database) = text.parse::<Database>();
                let good = match &database {
                    Database::File(path) => !path.as_os_str().is_empty(),
                    Database::Postgres { url, .. } => Postgres::check_address(url).is_ok(),
                };
                good.then_some(database)
            });
        let (mut database, connections) = (database?, connections?);
        if let Database::Postgres { options, .. } = &mut database {
            options.connections = usize::try_from(connections).unwrap_or(usize::MAX);
        }
        Some(database)
    }

    /// `Some(None)` is no bus.
    fn bus(&mut self) -> Option<Option<String>> {
        let bus: Option<Option<String>> = self.optional(Setting::Bus, NATS);
        self.read(Setting::Bus, NATS, |url| (url.is_empty() || NatsBus::check_address(url).is_ok()).then_some(()))?;
        bus
    }

    /// `Some(None)` is no TLS.
    fn tls(&mut self) -> Option<Option<TlsFiles>> {
        let certificate: Option<PathBuf> = self.optional(Setting::TlsCertificate, "the path of a file")?;
        let key: Option<PathBuf> = self.optional(Setting::TlsKey, "the path of a file")?;
        let missing = match (certificate, key) {
            (Some(certificate), Some(key)) => return Some(Some(TlsFiles { certificate, key })),
            (None, None) => return Some(None),
            (None, Some(_)) => Fault::Missing { setting: Setting::TlsCertificate, with: Setting::TlsKey },
            (Some(_), None) => Fault::Missing { setting: Setting::TlsKey, with: Setting::TlsCertificate },
        };
        self.faults.push(missing);
        None
    }

    fn rates(&mut self) -> Option<Rates> {
        let device = self.rate(Setting::RateDevice, Setting::RateDeviceBurst);
        let address = self.rate(Setting::RateAddress, Setting::RateAddressBurst);
        let address_header = self.optional(Setting::RateAddressHeader, "the name of a header, such as X-Forwarded-For");
        Some(Rates { device: device?, address: address?, address_header: address_header? })
    }

    /// `Some(None)` is no bound.
    fn rate(&mut self, rate: Setting, burst: Setting) -> Option<Option<Rate>> {
        let per_second = self.read(rate, "a whole number", |text| text.parse::<u32>().ok());
        let burst: Option<Option<NonZeroU32>> = self.optional(burst, "a whole number above zero");
        let (per_second, burst) = (NonZeroU32::new(per_second?), burst?);
        let default = |rate: NonZeroU32| rate.saturating_mul(TEN);
        Some(per_second.map(|rate| Rate { per_second: rate, burst: burst.unwrap_or_else(|| default(rate)) }))
    }

    fn limits(&mut self) -> Option<Limits> {
        let body = self.size(Setting::Body);
        let message = self.size(Setting::Message);
        let batch = self.size(Setting::Batch);
        let key_packages = self.number(Setting::KeyPackages);
        let claims = self.number(Setting::Claims);
        let mailbox = self.number(Setting::Mailbox);
        let addressees = self.number(Setting::Addressees);
        let live_rooms = self.number(Setting::LiveRooms);
        let poll = self.seconds(Setting::Poll);
        let session = self.seconds(Setting::Session);
        let transfer = self.seconds(Setting::Transfer);
        Some(Limits {
            body: body?,
            message: message?,
            batch: batch?,
            key_packages: key_packages?,
            claims: claims?,
            mailbox: mailbox?,
            addressees: usize::try_from(addressees?).unwrap_or(usize::MAX),
            live_rooms: usize::try_from(live_rooms?).unwrap_or(usize::MAX),
            poll: poll?,
            session: session?,
            transfer: transfer?,
            ..Limits::default()
        })
    }

    /// Checks who can read the secrets; a database that is not good is none.
    fn check_files(&mut self, plan: Option<&Plan>) {
        if let Some(file) = self.values.secret_file() {
            self.faults.extend(check_secret_file(file).err().map(Fault::from));
        }
        if let Some(tls) = plan.and_then(|plan| plan.config.tls.as_ref()) {
            self.faults.extend(tls.check().err().map(Fault::Tls));
        }
        if let Some(Database::File(path)) = plan.map(|plan| &plan.config.database) {
            self.faults.extend(check_database_files(path).err().map(Fault::from));
        }
    }

    fn read<T>(
        &mut self,
        setting: Setting,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.values.value(setting);
        let value = parse(&given.text);
        if value.is_none() {
            self.faults.push(Fault::Invalid { setting, source: given.source, value: given.text, expected });
        }
        value
    }

    fn parsed<T: FromStr>(&mut self, setting: Setting, expected: &'static str) -> Option<T> {
        self.read(setting, expected, |text| text.parse().ok())
    }

    /// `Some(None)` where nothing is given.
    fn optional<T: FromStr>(&mut self, setting: Setting, expected: &'static str) -> Option<Option<T>> {
        self.read(setting, expected, |text| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        })
    }

    /// What a switch stands for if it is on, else the default.
    fn switch<T: Default>(&mut self, setting: Setting, on: T) -> Option<T> {
        self.read(setting, "true or false", |text| match text {
            "true" | "yes" | "on" | "1" => Some(on),
            "false" | "no" | "off" | "0" | "" => Some(T::default()),
            _ => None,
        })
    }

    fn number(&mut self, setting: Setting) -> Option<u64> {
        self.read(setting, "a whole number above zero", positive)
    }

    fn seconds(&mut self, setting: Setting) -> Option<Duration> {
        self.read(setting, "a whole number of seconds above zero", positive).map(Duration::from_secs)
    }

    fn size(&mut self, setting: Setting) -> Option<usize> {
        self.read(setting, "a size such as 65536 or 64 MiB", size)
    }
}

/// What a bus is given as.
const NATS: &str = "an address such as nats://user:password@host:4222";

/// So far that sums of it are numbers of the database.
const MOST: u64 = 1 << 40;

/// How many times its rate a caller may send at once, where nothing else is said.
const TEN: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

fn whole(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number <= MOST)
}

fn positive(text: &str) -> Option<u64> {
    whole(text).filter(|number| *number > 0)
}

fn size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    usize::try_from(positive(number)?.checked_mul(factor).filter(|bytes| *bytes <= MOST)?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn plan(flags: &[(Setting, &str)]) -> Result<Plan, Vec<Fault>> {
        let flags: BTreeMap<_, _> = flags.iter().map(|(setting, text)| (*setting, (*text).to_owned())).collect();
        let (values, faults) = Values::read(None, &flags, |_| None);
        assert_eq!(faults, []);
        let (plan, faults) = Plan::read(&values);
        plan.filter(|_| faults.is_empty()).ok_or(faults)
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let plan = plan(&[(Setting::Database, path.to_str().unwrap())]).ok().unwrap();
        assert_eq!(plan.config.limits, Limits::default());
        assert_eq!(plan.config.authentication, Authentication::default());
        assert_eq!(plan.config.handshakes, Handshakes::default());
        assert_eq!((plan.config.listen.port(), plan.config.host.to_string().as_str()), (8440, "localhost"));
        assert_eq!(plan.config.database, Database::File(path));
        assert_eq!((plan.bus, plan.config.tls, plan.config.rates), (None, None, Rates::default()));
    }

    #[test]
    fn each_limit_is_set_by_its_own_setting() {
        let given = [
            (Setting::Body, "1 KiB"),
            (Setting::Message, "2"),
            (Setting::Batch, "3"),
            (Setting::KeyPackages, "4"),
            (Setting::Claims, "5"),
            (Setting::Mailbox, "6"),
            (Setting::Addressees, "7"),
            (Setting::LiveRooms, "8"),
            (Setting::Poll, "9"),
            (Setting::Session, "10"),
            (Setting::Transfer, "11"),
            (Setting::RateDevice, "12"),
            (Setting::RateAddress, "13"),
            (Setting::RateAddressBurst, "14"),
            (Setting::Drain, "15"),
        ];
        let plan = plan(&given).ok().unwrap();
        let expected = Limits {
            body: 1_024,
            message: 2,
            batch: 3,
            key_packages: 4,
            claims: 5,
            mailbox: 6,
            addressees: 7,
            live_rooms: 8,
            poll: Duration::from_secs(9),
            session: Duration::from_secs(10),
            transfer: Duration::from_secs(11),
            ..Limits::default()
        };
        assert_eq!(plan.config.limits, expected);
        let rate = |per_second: u32, burst: u32| {
            Some(Rate { per_second: per_second.try_into().unwrap(), burst: burst.try_into().unwrap() })
        };
        assert_eq!((plan.config.rates.device, plan.config.rates.address), (rate(12, 120), rate(13, 14)));
        assert_eq!(plan.drain, Duration::from_secs(15));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_and_no_password_with_it() {
        let faults = plan(&[
            (Setting::Listen, "8440"),
            (Setting::Host, "Example.org"),
            (Setting::Database, "postgres://user:hunter2@host:port/name"),
            (Setting::Bus, "nats://user:hunter2@["),
            (Setting::Poll, "0"),
            (Setting::Body, "1 TB"),
            (Setting::PrivateHandshakes, "perhaps"),
            (Setting::TlsKey, "key.pem"),
            (Setting::RateDevice, "-1"),
            (Setting::Log, "a=b=c"),
        ]);
        let told: Vec<String> = faults.err().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 10, "{told:?}");
        assert!(told.iter().all(|told| told.starts_with("give ") && !told.contains("hunter2")), "{told:?}");
        assert!(told.contains(&"give tls.certificate too, or take tls.key away".into()), "{told:?}");
        assert!(told.contains(&"give --poll a whole number of seconds above zero, not \"0\"".into()), "{told:?}");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("65536"), Some(65536));
        assert_eq!(size("64 KiB"), Some(65536));
        assert_eq!(size("2MiB"), Some(2 << 20));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        for wrong in ["", "0", "MiB", "1 kB", "-1", "1.5 MiB", "99999999999999999999", "18446744073709551615 GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
