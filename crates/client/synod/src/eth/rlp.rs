//! RLP, writing only: Ethereum yellow paper, appendix B.

/// One RLP list being written.
#[derive(Debug, Default)]
pub struct List {
    payload: Vec<u8>,
}

impl List {
    /// Appends a byte string.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        match bytes {
            [byte] if *byte < SHORT_STRING => self.payload.push(*byte),
            _ => {
                header(SHORT_STRING, bytes.len(), &mut self.payload);
                self.payload.extend_from_slice(bytes);
            }
        }
        self
    }

    /// Appends a number, given as big-endian bytes: leading zeros are not written.
    pub fn number(self, big_endian: &[u8]) -> Self {
        let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
        self.bytes(&big_endian[zeros..])
    }

    /// Appends a number.
    pub fn u64(self, number: u64) -> Self {
        self.number(&number.to_be_bytes())
    }

    /// Appends a list.
    pub fn list(mut self, list: Self) -> Self {
        self.payload.extend(list.finish());
        self
    }

    /// The encoding.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() + 9);
        header(SHORT_LIST, self.payload.len(), &mut out);
        out.extend(self.payload);
        out
    }
}

/// The list of these byte strings.
pub fn list_of(items: &[Vec<u8>]) -> Vec<u8> {
    items.iter().fold(List::default(), |list, item| list.bytes(item)).finish()
}

fn header(short: u8, size: usize, out: &mut Vec<u8>) {
    if size <= SHORT_SIZE_MAX {
        out.push(short + u8::try_from(size).expect("at most 55"));
    } else {
        let digits = size.to_be_bytes();
        let zeros = digits.iter().take_while(|byte| **byte == 0).count();
        let digits = &digits[zeros..];
        out.push(short + 55 + u8::try_from(digits.len()).expect("at most eight"));
        out.extend_from_slice(digits);
    }
}

const SHORT_STRING: u8 = 0x80;
const SHORT_LIST: u8 = 0xc0;
const SHORT_SIZE_MAX: usize = 55;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_met() {
        let check = |list: List, expected: &[u8]| assert_eq!(list.finish(), expected);
        check(List::default(), &[0xc0]);
        check(List::default().bytes(b"cat").bytes(b"dog"), b"\xc8\x83cat\x83dog");
        check(List::default().u64(0).u64(15).u64(1024), &[0xc5, 0x80, 0x0f, 0x82, 0x04, 0x00]);
        check(
            List::default().list(List::default()).list(List::default().list(List::default())),
            &[0xc3, 0xc0, 0xc1, 0xc0],
        );
        let long = List::default().bytes(b"Lorem ipsum dolor sit amet, consectetur adipisicing elit").finish();
        assert_eq!(&long[..4], &[0xf8, 0x3a, 0xb8, 0x38]);
        assert_eq!(long.len(), 60);
        let longer = List::default().bytes(&[7; 1024]).finish();
        assert_eq!(&longer[..6], &[0xf9, 0x04, 0x03, 0xb9, 0x04, 0x00]);
    }
}
