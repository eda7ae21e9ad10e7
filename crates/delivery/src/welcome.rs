//! Welcomes, taken apart for their addressees.

use keyroom_api::WelcomeTo;
use keyroom_wire::{Decode as _, Encode as _, Limits, MlsMessage, Welcome};

use crate::{Invalid, NewWelcome};

/// Bytes of an `MLSMessage` with a Welcome before its secrets: version, wire format, cipher suite.
const HEAD: usize = 6;

/// Takes a Welcome apart, so that each addressee gets its own EncryptedGroupSecrets and the encrypted
/// GroupInfo (RFC 9420 §12.4.3.1), and not those of all others.
pub(crate) fn cut(sent: WelcomeTo, limits: &Limits) -> Result<NewWelcome, Invalid> {
    let message = MlsMessage::from_bytes(&sent.welcome, limits).map_err(|_| Invalid::Malformed)?;
    let MlsMessage::Welcome(Welcome { secrets, encrypted_group_info, .. }) = message else {
        return Err(Invalid::WrongKind);
    };
    if secrets.len() != sent.devices.len() {
        return Err(Invalid::Addressees);
    }
    let head = sent.welcome.get(..HEAD).ok_or(Invalid::Malformed)?.to_vec();
    let parts = secrets.iter().map(|own| vec![own.clone()].to_bytes());
    Ok(NewWelcome { head, tail: encrypted_group_info.to_bytes(), to: sent.devices.into_iter().zip(parts).collect() })
}

#[cfg(test)]
mod tests {
    use keyroom_wire::{CipherSuite, EncryptedGroupSecrets};

    use super::*;

    #[test]
    fn each_addressee_gets_a_welcome_with_its_own_secrets_alone() {
        let secrets = |mark: u8| EncryptedGroupSecrets {
            new_member: vec![mark; 32].into(),
            encrypted_group_secrets: keyroom_wire::HpkeCiphertext {
                kem_output: vec![mark; 32].into(),
                ciphertext: vec![mark; 90].into(),
            },
        };
        let whole = |secrets: Vec<EncryptedGroupSecrets>| {
            let encrypted_group_info = vec![7; 300].into();
            MlsMessage::Welcome(Welcome { cipher_suite: CipherSuite(1), secrets, encrypted_group_info }).to_bytes()
        };
        let devices: Vec<keyroom_api::DeviceUri> =
            ["a", "b", "c"].map(|name| format!("mimi://h/d/{name}/main").parse().unwrap()).into();
        let welcome = whole(vec![secrets(1), secrets(2), secrets(3)]);
        let cut = cut(WelcomeTo { devices: devices.clone(), welcome }, &Limits::default()).unwrap();
        for (mark, (device, part)) in (1..).zip(&cut.to) {
            assert_eq!(*device, devices[usize::from(mark) - 1]);
            assert_eq!([cut.head.as_slice(), part, &cut.tail].concat(), whole(vec![secrets(mark)]));
        }
        let short = WelcomeTo { devices: devices[..2].to_vec(), welcome: whole(vec![secrets(1)]) };
        assert_eq!(super::cut(short, &Limits::default()), Err(Invalid::Addressees));
    }
}
