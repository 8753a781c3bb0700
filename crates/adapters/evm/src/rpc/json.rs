//! Writing Ethereum's JSON: objects whose values are almost all hexadecimal texts.

use std::fmt::Write as _;

use alloy_primitives::{Address, U256};

use crate::hex;

/// A JSON text that is being written.
#[derive(Debug, Default)]
pub(crate) struct Json(String);

impl Json {
    /// An empty text with room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(String::with_capacity(capacity))
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    /// The size so far.
    pub(crate) const fn size(&self) -> usize {
        self.0.len()
    }

    /// Writes an object.
    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.open('{');
        members(self);
        self.0.push('}');
    }

    /// Writes an array.
    pub(crate) fn array<T>(&mut self, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.open('[');
        for value in items {
            item(self, value);
        }
        self.0.push(']');
    }

    /// Writes the name of a member; its value comes next.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self
    }

    /// Writes a value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.separate();
        self.0.push_str(json);
    }

    /// Writes `null`.
    pub(crate) fn null(&mut self) {
        self.raw("null");
    }

    /// Writes a text that needs no escapes.
    pub(crate) fn text(&mut self, text: &str) {
        self.quoted(|out| out.push_str(text));
    }

    /// Writes a quantity.
    pub(crate) fn quantity(&mut self, number: u64) {
        self.quoted(|out| write!(out, "{number:#x}").expect("a string takes what it is given"));
    }

    /// Writes a quantity of up to 256 bits.
    pub(crate) fn quantity256(&mut self, number: U256) {
        self.quoted(|out| hex::put_quantity(out, number));
    }

    /// Writes data.
    pub(crate) fn data(&mut self, data: &[u8]) {
        self.quoted(|out| hex::put_data(out, data));
    }

    /// Writes an address or `null`.
    pub(crate) fn address_or_null(&mut self, address: Option<Address>) {
        match address {
            Some(address) => self.data(address.as_slice()),
            None => self.null(),
        }
    }

    fn quoted(&mut self, content: impl FnOnce(&mut String)) {
        self.separate();
        self.0.push('"');
        content(&mut self.0);
        self.0.push('"');
    }

    fn open(&mut self, bracket: char) {
        self.separate();
        self.0.push(bracket);
    }

    /// Writes a comma where one belongs: not at the start of anything, not between name and value.
    fn separate(&mut self) {
        if !matches!(self.0.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::default();
        json.object(|json| {
            json.name("number").quantity(16);
            json.name("word").quantity256(U256::MAX);
            json.name("list").array([1u64, 2], |json, item| json.object(|json| json.name("item").quantity(item)));
            json.name("empty").array([(); 0], |_, ()| {});
            json.name("none").null();
            json.name("data").data(&[0, 255]);
            json.name("text").text("a");
        });
        let text = json.finish();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["number"], "0x10");
        assert_eq!(value["list"][1]["item"], "0x2");
        assert_eq!(value["data"], "0x00ff");
        assert_eq!(value["word"].as_str().unwrap().len(), 66);
        assert!(value["empty"].as_array().unwrap().is_empty() && value["none"].is_null());
    }
}
