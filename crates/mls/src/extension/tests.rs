use alloc::vec;

use keyroom_wire::{Credential, Encode, SignaturePublicKey};

use super::*;
use crate::leaf_node::tests::{public_key, signer, suite};

fn list(extensions: &[(u16, &[u8])]) -> Extensions {
    let mut list = Extensions::new();
    for (value, data) in extensions {
        list.list.push(Extension { extension_type: ExtensionType(*value), extension_data: (*data).into() });
    }
    list
}

fn group(extensions: &[(u16, &[u8])]) -> Result<GroupExtensions, Rule> {
    GroupExtensions::validate(list(extensions), suite(), &ExtensionTable::new())
}

fn senders(signature_key: &[u8]) -> Vec<u8> {
    vec![ExternalSender { signature_key: SignaturePublicKey::from(signature_key), credential: Credential::basic("x") }]
        .to_bytes()
}

#[test]
fn a_valid_list_gives_what_the_protocol_reads() {
    let required = RequiredCapabilities { extension_types: vec![ExtensionType(100)], ..Default::default() };
    let key = signer(1).public_key().clone();
    let parsed = group(&[(3, &required.to_bytes()), (5, &senders(key.as_slice())), (100, b"x")]).unwrap();
    assert_eq!(parsed.required_capabilities(), &required);
    assert_eq!(parsed.external_senders()[0].signature_key, key);
    assert_eq!(parsed.types_to_list().collect::<Vec<_>>(), [ExtensionType(100)]);
    assert_eq!(group(&[]).unwrap().external_senders(), []);
}

#[test]
fn row_133_types_that_belong_elsewhere_are_refused_in_a_group_context() {
    for value in [1, 2, 4, 10] {
        assert_eq!(group(&[(value, b"")]), Err(Rule::ExtensionNotAllowedHere));
    }
}

#[test]
fn row_226_types_that_belong_elsewhere_are_refused_in_a_group_info() {
    let check =
        |extensions: &[(u16, &[u8])]| check_group_info_extensions(&list(extensions), suite(), &ExtensionTable::new());
    let external_pub = ExternalPub { external_pub: public_key(1) }.to_bytes();
    assert_eq!(check(&[(2, b""), (4, &external_pub), (0x0a0a, b"any")]), Ok(()));
    for value in [1, 3, 5, 10] {
        assert_eq!(check(&[(value, b"")]), Err(Rule::ExtensionNotAllowedHere));
    }
    assert_eq!(check(&[(4, b"\x01")]), Err(Rule::MalformedExtension));
    assert_eq!(check(&[(4, b"\x01\x01")]), Err(Rule::InvalidPublicKey));
    assert_eq!(check(&[(100, b""), (100, b"")]), Err(Rule::DuplicateExtension));
}

#[test]
fn row_232_one_type_twice_is_refused() {
    assert_eq!(group(&[(100, b"a"), (101, b""), (100, b"b")]), Err(Rule::DuplicateExtension));
}

#[test]
fn rows_008_233_known_extensions_must_parse_to_the_end() {
    assert_eq!(group(&[(3, b"")]), Err(Rule::MalformedExtension));
    assert_eq!(group(&[(3, &[0, 0, 0, 0])]), Err(Rule::MalformedExtension));
    assert_eq!(group(&[(5, &[5, 1])]), Err(Rule::MalformedExtension));
}

#[test]
fn row_234_the_key_of_an_external_sender_must_be_valid() {
    assert_eq!(group(&[(5, &senders(&[1; 31]))]), Err(Rule::InvalidPublicKey));
}

#[test]
fn a_registered_type_stands_only_where_it_may_and_known_types_cannot_be_redefined() {
    let places = &[ExtensionPlace::GroupContext];
    let entry = |value| ExtensionEntry { extension_type: ExtensionType(value), places, listing: Listing::Required };
    let table = ExtensionTable::new().with(entry(0xf000)).with(entry(1));
    assert_eq!(table.check(&list(&[(0xf000, b"")]), ExtensionPlace::GroupContext), Ok(()));
    assert_eq!(table.check(&list(&[(0xf000, b"")]), ExtensionPlace::LeafNode), Err(Rule::ExtensionNotAllowedHere));
    assert_eq!(table.check(&list(&[(1, b"\0")]), ExtensionPlace::LeafNode), Ok(()));
}
