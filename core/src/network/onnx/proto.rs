//! The few protocol buffer messages that an ONNX file needs, written by hand: a generator and its runtime would be many
//! times the size of this file. Field numbers are those of `onnx.proto` (IR version 8).

/// Type codes of `TensorProto`.
const FLOAT: u64 = 1;
const INT64: u64 = 7;
/// Type codes of `AttributeProto`.
const ATTRIBUTE_INT: u64 = 2;
const ATTRIBUTE_INTS: u64 = 7;

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// An integer field.
    pub fn int(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// A field of bytes.
    pub fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A text field.
    pub fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// A field that holds another message.
    pub fn message(self, field: u64, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// The same field once for each of several messages.
    pub fn messages(self, field: u64, values: &[Message]) -> Self {
        values.iter().fold(self, |m, value| m.message(field, value))
    }

    /// The finished bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// An attribute of a node.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    /// One integer.
    Int(u64),
    /// Several integers.
    Ints(&'a [u64]),
}

/// `NodeProto`: one operation, named after its first output.
pub fn node(operation: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute<'_>)]) -> Message {
    let mut node = inputs.iter().fold(Message::default(), |m, input| m.text(1, input));
    node = node.text(2, output).text(3, output).text(4, operation);
    for (name, value) in attributes {
        let attribute = Message::default().text(1, name);
        let attribute = match value {
            Attribute::Int(v) => attribute.int(3, *v).int(20, ATTRIBUTE_INT),
            Attribute::Ints(v) => v.iter().fold(attribute, |m, v| m.int(8, *v)).int(20, ATTRIBUTE_INTS),
        };
        node = node.message(5, &attribute);
    }
    node
}

fn tensor(name: &str, shape: &[usize], kind: u64, little_endian: &[u8]) -> Message {
    let dimensions = shape.iter().fold(Message::default(), |m, &n| m.int(1, n as u64));
    dimensions.int(2, kind).text(8, name).bytes(9, little_endian)
}

/// `TensorProto` of f32, from little-endian bytes.
pub fn floats(name: &str, shape: &[usize], little_endian: &[u8]) -> Message {
    tensor(name, shape, FLOAT, little_endian)
}

/// `TensorProto` of i64, one-dimensional.
pub fn integers(name: &str, values: &[i64]) -> Message {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(name, &[values.len()], INT64, &bytes)
}

/// A dimension of an input or output.
#[derive(Clone, Copy, Debug)]
pub enum Dimension {
    /// Always this many.
    Fixed(usize),
    /// As many as the caller likes, by name.
    Free(&'static str),
}

/// `ValueInfoProto`: an input or output of f32.
pub fn value(name: &str, shape: &[Dimension]) -> Message {
    let dimensions: Vec<Message> = shape
        .iter()
        .map(|d| match d {
            Dimension::Fixed(n) => Message::default().int(1, *n as u64),
            Dimension::Free(name) => Message::default().text(2, name),
        })
        .collect();
    let shape = Message::default().messages(1, &dimensions);
    let tensor = Message::default().int(1, FLOAT).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_as_the_protocol_says() {
        // The examples of the protocol's own description: field 1 = 150, field 2 = "testing".
        assert_eq!(Message::default().int(1, 150).finish(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "testing").finish(), *b"\x12\x07testing");
        let inner = Message::default().int(1, 150);
        assert_eq!(Message::default().message(3, &inner).finish(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().int(20, 7).finish(), [0xa0, 0x01, 0x07]);
    }
}
