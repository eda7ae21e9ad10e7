//! What a message costs, counted and not only measured.

use keyroom_insider::Counting;

use super::*;

#[test]
fn a_first_message_costs_two_expansions_a_level_and_a_later_one_three_in_all() {
    for depth in [1_u8, 10, 20] {
        let suite = Counting::leaked(suite());
        let mut tree = SecretTree::new(suite, Secret::copy_of(&ROOT).into(), depth, EPOCH);
        suite.take();
        let mut cost = |take: Take| {
            let limits = RatchetLimits { max_forward: 100, max_skipped_per_sender: 10, max_skipped_total: 50 };
            drop(take.open(&mut tree, &limits));
            // No secret is extracted here: what the KDF does is expand.
            suite.take().kdf
        };
        let levels = usize::from(depth);
        // Two children a level, two ratchets; then key, nonce and next secret.
        assert_eq!(cost(Take::application(0, 0)), 2 * levels + 2 + 3);
        assert_eq!(cost(Take::application(1, 0)), 2 + 3);
        assert_eq!(cost(Take::application(0, 1)), 3);
        // Out of reach: nothing is derived.
        assert_eq!(cost(Take::application(0, 103)), 0);
        // Thirty generations further: a step for each, keys only for the ten that are kept.
        assert_eq!(cost(Take::application(0, 32)), 30 + 10 * 2 + 3);
        assert_eq!(cost(Take::application(0, 31)), 0);
    }
}
