//! Small numbers in few bytes: LEB128, seven bits a byte, least significant first, as short as possible.

use crate::error::StateDamaged;

/// Appends `number`.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads the fields of one record from the front.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of a record, `what` naming it in errors.
    pub(crate) const fn new(record: &'a [u8], what: &'static str) -> Self {
        Self { rest: record, what }
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Result<u8, StateDamaged> {
        Ok(self.bytes(1)?[0])
    }

    /// `size` bytes.
    pub(crate) fn bytes(&mut self, size: usize) -> Result<&'a [u8], StateDamaged> {
        let (bytes, rest) = self.rest.split_at_checked(size).ok_or(StateDamaged(self.what))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// An array of fixed size.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], StateDamaged> {
        Ok(self.bytes(N)?.try_into().expect("bytes returned N bytes"))
    }

    /// A number that [`put`] wrote.
    pub(crate) fn number(&mut self) -> Result<u64, StateDamaged> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(StateDamaged(self.what));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(StateDamaged(self.what))
    }

    /// A number that counts or measures something in memory.
    pub(crate) fn size(&mut self) -> Result<usize, StateDamaged> {
        usize::try_from(self.number()?).map_err(|_| StateDamaged(self.what))
    }

    /// What has not been read.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_and_a_torn_one_is_refused() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut record = Vec::new();
            put(&mut record, number);
            assert_eq!(Fields::new(&record, "number").number().unwrap(), number);
            assert!(Fields::new(&record[..record.len() - 1], "number").number().is_err());
        }
        assert!(Fields::new(&[0xff; 11], "number").number().is_err());
    }
}
