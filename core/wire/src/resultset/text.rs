//! Rows of the text protocol.

use aquifer_types::text::write_text;
use aquifer_types::{DataType, TypeKind, Value};

use crate::channel::Channel;
use crate::codec::{len_u64, put_lenenc, put_lenenc_bytes};
use crate::packet::PacketWriter;
use crate::resultset::number::Digits;

/// One unfinished row: push a value for each column, then [`TextRow::finish`]. A row that is dropped
/// unfinished is not sent.
#[derive(Debug)]
pub struct TextRow<'a> {
    packet: PacketWriter<'a>,
}

impl Channel {
    /// Begins a row of the text protocol.
    pub fn text_row(&mut self) -> TextRow<'_> {
        TextRow { packet: self.packet() }
    }
}

impl TextRow<'_> {
    /// NULL.
    pub fn push_null(&mut self) {
        self.packet.u8(0xfb);
    }

    /// A value that is text already, in the character set of the results.
    pub fn push_bytes(&mut self, text: &[u8]) {
        put_lenenc_bytes(self.packet.buffer(), text);
    }

    /// A signed integer.
    pub fn push_int(&mut self, value: i64) {
        self.push_digits(&Digits::signed(value));
    }

    /// An unsigned integer.
    pub fn push_uint(&mut self, value: u64) {
        self.push_digits(&Digits::unsigned(value));
    }

    fn push_digits(&mut self, digits: &Digits) {
        put_lenenc_bytes(self.packet.buffer(), digits.as_bytes());
    }

    /// A value of type `data_type`, as MySQL prints it.
    pub fn push_value(&mut self, value: &Value, data_type: &DataType) {
        match value {
            Value::Null => self.push_null(),
            Value::Bytes(bytes) => self.push_bytes(bytes),
            Value::Int(number) if !data_type.zerofill => self.push_int(*number),
            Value::UInt(number) if prints_plainly(data_type) => self.push_uint(*number),
            other => self.push_with(|out| write_text(other, data_type, out)),
        }
    }

    /// A value whose text `write` appends to the buffer; it must not touch what is there already.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let out = self.packet.buffer();
        let start = out.len();
        out.push(0);
        write(out);
        let length = out.len().saturating_sub(start + 1);
        match u8::try_from(length) {
            Ok(short) if short < 251 => out[start] = short,
            _ => {
                let mut prefix = Vec::with_capacity(9);
                put_lenenc(&mut prefix, len_u64(length));
                out.splice(start..=start, prefix);
            }
        }
    }

    /// Completes the row.
    pub fn finish(self) {
        self.packet.finish();
    }
}

/// Whether an unsigned integer of this type is nothing but its digits.
fn prints_plainly(data_type: &DataType) -> bool {
    let special = matches!(data_type.kind, TypeKind::Bit | TypeKind::Year | TypeKind::Enum | TypeKind::Set);
    !special && !data_type.zerofill
}
