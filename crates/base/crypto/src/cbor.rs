//! Heads of CBOR items (RFC 8949, section 3), in the shortest form only (section 4.2.1).

/// The major type of unsigned integers.
pub const UNSIGNED: u8 = 0;
/// The major type of negative integers: the argument is -1 minus the value.
pub const NEGATIVE: u8 = 1;
/// The major type of byte strings.
pub const BYTE_STRING: u8 = 2;
/// The major type of text strings.
pub const TEXT: u8 = 3;
/// The major type of arrays.
pub const ARRAY: u8 = 4;
/// The major type of maps.
pub const MAP: u8 = 5;
/// The major type of tags.
pub const TAG: u8 = 6;

/// Appends the head of an item of this major type.
pub fn append_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..24 => out.push(major | argument as u8),
        24..0x100 => out.extend_from_slice(&[major | 24, argument as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

/// Reads items from the front; `None` wherever the input is not what is asked for, or not in its shortest form.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The argument of a head of this major type.
    pub fn head(&mut self, major: u8) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        let extra = match first & 0x1f {
            argument @ 0..24 => {
                self.0 = rest;
                return (first >> 5 == major).then_some(u64::from(argument));
            }
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(extra)?;
        let argument = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let least = [24, 0x100, 0x1_0000, 0x1_0000_0000][extra.trailing_zeros() as usize];
        self.0 = rest;
        (first >> 5 == major && argument >= least).then_some(argument)
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = usize::try_from(self.head(BYTE_STRING)?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text string.
    pub fn text(&mut self) -> Option<&'a str> {
        let size = usize::try_from(self.head(TEXT)?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        std::str::from_utf8(bytes).ok()
    }

    /// Nothing is left.
    pub fn finish(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
