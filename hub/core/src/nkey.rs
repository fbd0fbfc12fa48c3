//! Public NATS user keys, as far as the hub has to know them: their form.

use data_encoding::BASE32_NOPAD;

/// Why a text is no public user key, in words for its sender.
pub(crate) const RULE: &str =
    "a public NATS user key: 56 characters that begin with U and end in their checksum";

/// The prefix byte of a public user key.
const USER: u8 = 20 << 3;

/// True for a public NATS user key with a right checksum: a prefix byte, 32 bytes of key, and
/// their CRC-16 (XMODEM) in little endian, all in base 32.
pub(crate) fn is_user_key(text: &str) -> bool {
    let Ok(bytes) = BASE32_NOPAD.decode(text.as_bytes()) else {
        return false;
    };
    let Some((body, checksum)) = bytes.split_last_chunk::<2>() else {
        return false;
    };
    body.len() == 33 && body[0] == USER && crc16(body) == u16::from_le_bytes(*checksum)
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

/// A public user key for tests; another one for each number.
#[cfg(test)]
pub(crate) fn user_key(number: u8) -> String {
    let mut bytes = vec![USER];
    bytes.extend([number; 32]);
    bytes.extend(crc16(&bytes).to_le_bytes());
    BASE32_NOPAD.encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::{is_user_key, user_key};

    #[test]
    fn a_user_key_and_nothing_else_passes() {
        let key = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
        assert!(is_user_key(key));
        assert!(is_user_key(&user_key(7)));
        assert!(!is_user_key(&key.replace("UDXU", "UDXV")), "checksum");
        assert!(!is_user_key(&key[..55]), "length");
        for other in [
            "",
            "U",
            "UABC",
            "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
            "ADXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
        ] {
            assert!(!is_user_key(other), "{other}");
        }
    }
}
