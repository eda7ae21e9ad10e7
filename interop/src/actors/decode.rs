//! Reading the fields of requests.

use keyroom_wire::{Decode, ExtensionType, Extensions, GroupInfo, KeyPackage, Limits, MlsMessage, Opaque, RatchetTree};

use crate::{Failure, messages};

/// A struct that stands bare.
pub(super) fn value<T: for<'a> Decode<'a>>(field: &'static str, bytes: &[u8]) -> Result<T, Failure> {
    T::from_bytes(bytes, &Limits::default()).map_err(|error| Failure::Malformed { field, error })
}

/// A key package inside an MLSMessage.
pub(super) fn key_package(bytes: &[u8]) -> Result<KeyPackage, Failure> {
    match value("key_package", bytes)? {
        MlsMessage::KeyPackage(key_package) => Ok(key_package),
        _ => Err(Failure::WrongMessage { field: "key_package", expected: "KeyPackage" }),
    }
}

/// A GroupInfo inside an MLSMessage.
pub(super) fn group_info(bytes: &[u8]) -> Result<GroupInfo, Failure> {
    match value("group_info", bytes)? {
        MlsMessage::GroupInfo(info) => Ok(info),
        _ => Err(Failure::WrongMessage { field: "group_info", expected: "GroupInfo" }),
    }
}

/// The tree of a group: from beside its GroupInfo, or else from inside.
pub(super) fn tree(info: &GroupInfo, beside: &[u8]) -> Result<RatchetTree, Failure> {
    let inside = info.extensions.get(ExtensionType::RATCHET_TREE);
    value("ratchet_tree", present(beside).or(inside).ok_or(Failure::NoTree)?)
}

/// Extensions in their order.
pub(super) fn extensions(list: &[messages::Extension]) -> Result<Extensions, Failure> {
    let list = list.iter().map(|extension| {
        Ok(keyroom_wire::Extension {
            extension_type: ExtensionType(code_point(extension.extension_type)?),
            extension_data: Opaque::from(extension.extension_data.as_slice()),
        })
    });
    Ok(Extensions { list: list.collect::<Result<_, Failure>>()? })
}

/// A code point of sixteen bits.
pub(super) fn code_point(number: u32) -> Result<u16, Failure> {
    u16::try_from(number).map_err(|_| Failure::NoCodePoint(number))
}

/// Empty bytes mean absent.
pub(super) fn present(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}
