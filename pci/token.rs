// SPDX-License-Identifier: GPL-2.0

//! The name under which a user asks for a device, and the token that may come with it.
//!
//! The token is a secret that the users of a physical function and of its virtual functions
//! share. It is given behind the name, as `0000:04:10.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-...`.

/// A token: the bytes of a UUID.
pub(crate) type Token = [u8; 16];

/// Length of a UUID as text.
const UUID_LEN: usize = 36;

const OPTION: &[u8] = b"vf_token=";

/// What a user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Another device.
    Other,
    /// This device.
    This(Option<Token>),
    /// This device, in a way that cannot be understood.
    Malformed,
}

impl Request {
    /// Takes `asked` apart. `name` is the name of the device.
    pub(crate) fn parse(asked: &[u8], name: &[u8]) -> Self {
        match asked.strip_prefix(name) {
            None => Self::Other,
            Some([]) => Self::This(None),
            Some(options @ [b' ', ..]) => Self::parse_options(options),
            Some(_) => Self::Other,
        }
    }

    fn parse_options(mut options: &[u8]) -> Self {
        let mut token = None;
        while let Some((first, rest)) = options.split_first() {
            if *first == b' ' {
                options = rest;
                continue;
            }
            let Some((parsed, rest)) = options
                .strip_prefix(OPTION)
                .filter(|_| token.is_none())
                .and_then(|text| text.split_at_checked(UUID_LEN))
                .and_then(|(text, rest)| Some((parse_uuid(text)?, rest)))
            else {
                return Self::Malformed;
            };
            token = Some(parsed);
            options = rest;
        }

        Self::This(token)
    }
}

/// Parses a UUID of the form 8-4-4-4-12.
fn parse_uuid(text: &[u8]) -> Option<Token> {
    let mut token = Token::default();
    let mut bytes = token.iter_mut();
    let mut digits = text.iter().enumerate();
    while let Some((index, first)) = digits.next() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if *first != b'-' {
                return None;
            }
            continue;
        }
        let (_, second) = digits.next()?;
        *bytes.next()? = (digit(*first)? << 4) | digit(*second)?;
    }

    bytes.next().is_none().then_some(token)
}

fn digit(character: u8) -> Option<u8> {
    let value = char::from(character).to_digit(16)?;

    u8::try_from(value).ok()
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_token)]
mod tests {
    use super::*;

    const NAME: &[u8] = b"0000:04:10.0";
    const TOKEN: Token = [
        0xbd, 0x8d, 0x9d, 0x2b, 0x5a, 0x5f, 0x4f, 0x5a, 0xa2, 0x11, 0xf5, 0x91, 0x51, 0x4b, 0xa1,
        0xf3,
    ];

    #[test]
    fn names() {
        assert_eq!(Request::parse(b"0000:04:10.0", NAME), Request::This(None));
        assert_eq!(Request::parse(b"0000:04:10.0  ", NAME), Request::This(None));
        assert_eq!(Request::parse(b"0000:04:10.1", NAME), Request::Other);
        assert_eq!(Request::parse(b"0000:04:10.01", NAME), Request::Other);
        assert_eq!(Request::parse(b"", NAME), Request::Other);
    }

    #[test]
    fn tokens() {
        let asked = b"0000:04:10.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3";
        assert_eq!(Request::parse(asked, NAME), Request::This(Some(TOKEN)));

        for asked in [
            &b"0000:04:10.0 vf_token="[..],
            b"0000:04:10.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f",
            b"0000:04:10.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1g3",
            b"0000:04:10.0 vf_token=bd8d9d2b_5a5f-4f5a-a211-f591514ba1f3",
            b"0000:04:10.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3 vf_token=",
            b"0000:04:10.0 foo",
        ] {
            assert_eq!(Request::parse(asked, NAME), Request::Malformed);
        }
    }
}
