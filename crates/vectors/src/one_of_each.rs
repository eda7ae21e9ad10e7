use keyroom_crypto::{CodePoints, Provider, Suite};

/// The first suite of each kind. Suites share their primitives, so what is about one primitive is
/// checked once.
pub(crate) fn one_of_each<K: PartialEq>(
    provider: &dyn Provider,
    kind: impl Fn(&dyn Suite) -> K,
) -> Vec<&'static dyn Suite> {
    let mut suites = provider.suites();
    let mut met = Vec::new();
    suites.retain(|suite| {
        let kind = kind(*suite);
        let new = !met.contains(&kind);
        if new {
            met.push(kind);
        }
        new
    });
    suites
}

/// The signature scheme of a suite: the last part of its name.
pub(crate) fn signature_scheme(suite: &dyn Suite) -> &'static str {
    let name = CodePoints::DEFAULT.name(suite.cipher_suite()).expect("a provider over the default numbers");
    name.name().rsplit('_').next().unwrap()
}
