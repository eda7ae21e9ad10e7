//! Bad input for a group, a hundred thousand times: nothing panics, everything wrong ends in an error, and the
//! group is the same afterwards, to the byte. Two kinds of it: honest messages of which bytes were changed, and
//! messages in which an insider changed a field before it signed, tagged and encrypted them.
//!
//! A long run, from a seed of your own:
//! `KEYROOM_SEED=7 KEYROOM_COUNT=10000000 cargo test --release -p keyroom-mls --test mutation`
//!
//! What a message changed would stay, so the state is compared once for a number of messages. A run of no more
//! than that number compares after each one, and names it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test")]

mod mutation {
    mod forge;
    mod joins;
    mod messages;

    use std::collections::BTreeMap;
    use std::sync::Arc;

    use keyroom_crypto::CryptoRng;
    use keyroom_insider::{below, count};
    use keyroom_mls::record::{RecordKey, RecordValue};

    /// All records of a group.
    type Records = BTreeMap<RecordKey, RecordValue>;

    /// Messages of all tests here together.
    const USUAL: usize = 100_000;

    /// So many hundredths of all messages.
    fn share(hundredths: usize) -> usize {
        (count(USUAL) * hundredths).div_ceil(100)
    }

    /// Where the random numbers of a round come from: each has its own, so that it can be played alone.
    fn round_rng(round: usize) -> impl CryptoRng {
        keyroom_vectors::rng(keyroom_insider::seed().wrapping_add(round as u64))
    }

    fn replay(round: usize) -> String {
        let seed = keyroom_insider::seed().wrapping_add(round as u64);
        format!("KEYROOM_SEED={seed} KEYROOM_COUNT=1 for this message, or 100 for it and those after it")
    }

    /// A message with a bit flipped, bytes replaced, cut out, put in or exchanged, or cut short; some twice.
    fn mutated(message: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for _ in 0..=usize::from(below(rng, 4) == 0) {
            mutate(&mut bytes, rng);
        }
        bytes
    }

    fn mutate(bytes: &mut Vec<u8>, rng: &mut dyn CryptoRng) {
        if bytes.is_empty() {
            return bytes.push(0);
        }
        let at = below(rng, bytes.len());
        match below(rng, 8) {
            0 | 1 => bytes[at] ^= 1 << below(rng, 8),
            2 => bytes[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xff][below(rng, 8)],
            3 => drop(bytes.drain(at..(at + 1 + below(rng, 8)).min(bytes.len()))),
            4 => bytes.insert(at, u8::try_from(below(rng, 256)).unwrap()),
            5 => bytes[at] = bytes[at].wrapping_add(1),
            6 => bytes.truncate(at),
            _ => {
                let other = below(rng, bytes.len());
                bytes.swap(at, other);
            }
        }
    }

    fn policy(handshakes: keyroom_mls::config::HandshakePolicy) -> Arc<keyroom_mls::config::Config> {
        Arc::new(keyroom_mls::config::Config { handshakes, ..keyroom_mls::config::Config::default() })
    }
}
