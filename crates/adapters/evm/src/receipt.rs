//! Receipts as they are stored, and as Ethereum encodes them for its receipts root.

use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, Log, LogData};
use alloy_rlp::{BufMut, Encodable, Header, length_of_length};

use crate::error::StateDamaged;
use crate::varint::{self, Fields};

/// What became of a transaction.
///
/// Stored as: one byte with the status; gas used, gas used in the block so far, logs in the block
/// before, logs (each a varint); then each log: address, topics and data. A topic is stored without
/// its leading zero bytes: three of four topics in practice are addresses or small numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Whether the transaction succeeded.
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    /// The gas used in the block up to and including this transaction.
    pub(crate) cumulative_gas_used: u64,
    /// How many logs the block holds before this transaction's.
    pub(crate) first_log: u64,
    pub(crate) logs: Vec<Log>,
}

/// The most topics of a log: LOG4.
const TOPICS_MAX: usize = 4;

impl Receipt {
    /// The stored form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.logs.len() * 128);
        out.push(u8::from(self.success));
        for number in [self.gas_used, self.cumulative_gas_used, self.first_log, self.logs.len() as u64] {
            varint::put(&mut out, number);
        }
        for log in &self.logs {
            out.extend_from_slice(log.address.as_slice());
            out.push(log.topics().len() as u8);
            for topic in log.topics() {
                let significant = &topic[leading_zeros(topic)..];
                out.push(significant.len() as u8);
                out.extend_from_slice(significant);
            }
            varint::put(&mut out, log.data.data.len() as u64);
            out.extend_from_slice(&log.data.data);
        }
        out
    }

    /// Reads the stored form.
    pub(crate) fn decode(record: &[u8]) -> Result<Self, StateDamaged> {
        let mut fields = Fields::new(record, "receipt");
        let success = fields.byte()? != 0;
        let (gas_used, cumulative_gas_used, first_log) = (fields.number()?, fields.number()?, fields.number()?);
        let count = fields.size()?;
        let logs = (0..count).map(|_| decode_log(&mut fields)).collect::<Result<_, _>>()?;
        Ok(Self { success, gas_used, cumulative_gas_used, first_log, logs })
    }

    /// How many logs the block holds up to and including this transaction's.
    pub(crate) const fn next_log(&self) -> u64 {
        self.first_log + self.logs.len() as u64
    }

    /// The filter over this receipt's logs (Yellow Paper, section 4.3.1).
    pub(crate) fn bloom(&self) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for log in &self.logs {
            bloom.accrue(BloomInput::Raw(log.address.as_slice()));
            log.topics().iter().for_each(|topic| bloom.accrue(BloomInput::Raw(topic.as_slice())));
        }
        bloom
    }

    /// Appends the receipt as the receipts trie holds it since Byzantium (EIP-658, EIP-2718).
    pub(crate) fn encode_2718(&self, tx_type: u8, bloom: &Bloom, out: &mut Vec<u8>) {
        if tx_type != 0 {
            out.push(tx_type);
        }
        let payload_length =
            self.success.length() + self.cumulative_gas_used.length() + bloom.length() + self.logs.length();
        out.reserve(payload_length + length_of_length(payload_length));
        Header { list: true, payload_length }.encode(out);
        self.success.encode(out);
        self.cumulative_gas_used.encode(out);
        bloom.encode(out as &mut dyn BufMut);
        self.logs.encode(out);
    }
}

fn leading_zeros(word: &B256) -> usize {
    word.iter().take_while(|byte| **byte == 0).count()
}

fn decode_log(fields: &mut Fields<'_>) -> Result<Log, StateDamaged> {
    let damaged = StateDamaged("receipt");
    let address = Address::from(fields.array()?);
    let count = usize::from(fields.byte()?);
    if count > TOPICS_MAX {
        return Err(damaged);
    }
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let size = usize::from(fields.byte()?);
        let mut topic = B256::ZERO;
        topic.get_mut(32usize.wrapping_sub(size)..).ok_or(damaged)?.copy_from_slice(fields.bytes(size)?);
        topics.push(topic);
    }
    let size = fields.size()?;
    let data = Bytes::copy_from_slice(fields.bytes(size)?);
    Ok(Log { address, data: LogData::new_unchecked(topics, data) })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    fn transfer() -> Receipt {
        let address_topic = |byte| B256::left_padding_from(&[byte; 20]);
        let topics = vec![B256::repeat_byte(0xdd), address_topic(1), address_topic(2), B256::ZERO];
        let log =
            Log { address: Address::repeat_byte(3), data: LogData::new_unchecked(topics, Bytes::from(vec![0, 0, 7])) };
        let plain = Log { address: Address::ZERO, data: LogData::new_unchecked(Vec::new(), Bytes::new()) };
        Receipt { success: true, gas_used: 51_000, cumulative_gas_used: 102_000, first_log: 9, logs: vec![log, plain] }
    }

    #[test]
    fn a_receipt_reads_back_and_a_torn_one_is_refused() {
        let receipt = transfer();
        let record = receipt.encode();
        let (dd, one, two) = ("dd".repeat(32), "01".repeat(20), "02".repeat(20));
        let vector =
            format!("01b88e03f09c060902{}0420{dd}14{one}14{two}0003000007{}0000", "03".repeat(20), "00".repeat(20));
        assert_eq!(hex::encode(&record), vector);
        assert_eq!(Receipt::decode(&record), Ok(receipt));
        for torn in 0..record.len() {
            assert!(Receipt::decode(&record[..torn]).is_err(), "{torn} bytes");
        }
    }

    #[test]
    fn a_token_transfers_receipt_is_compact() {
        let mut receipt = transfer();
        receipt.logs.truncate(1);
        // Of 203 bytes that address, four topics, data and numbers would take at full size.
        assert_eq!(receipt.encode().len(), 110);
    }

    #[test]
    fn the_trie_form_is_that_of_alloy() {
        use alloy_consensus::{Eip658Value, ReceiptEnvelope, ReceiptWithBloom};
        use alloy_eips::eip2718::Encodable2718;

        let receipt = transfer();
        let reference = alloy_consensus::Receipt {
            status: Eip658Value::Eip658(true),
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs.clone(),
        };
        let reference = ReceiptWithBloom::from(reference);
        for (tx_type, expected) in
            [(0, ReceiptEnvelope::Legacy(reference.clone())), (2, ReceiptEnvelope::Eip1559(reference))]
        {
            let mut encoding = Vec::new();
            receipt.encode_2718(tx_type, &receipt.bloom(), &mut encoding);
            assert_eq!(encoding, expected.encoded_2718());
        }
    }
}
