//! Command sets: the few numbers and UIDs in front of a data set (PS3.7 6.3.1), always in implicit little endian.

use std::collections::BTreeMap;

/// C-STORE-RQ (PS3.7 E.1), and what answers it with the highest bit.
pub const STORE: u16 = 0x0001;
/// C-ECHO-RQ.
pub const ECHO: u16 = 0x0030;
/// Marks an answer.
pub const ANSWER: u16 = 0x8000;
/// No data set follows.
const NO_DATA: u16 = 0x0101;

/// Elements of group 0000.
const GROUP_LENGTH: u16 = 0x0000;
const CLASS: u16 = 0x0002;
const FIELD: u16 = 0x0100;
const ID: u16 = 0x0110;
const ANSWERED_ID: u16 = 0x0120;
const PRIORITY: u16 = 0x0700;
const DATA_TYPE: u16 = 0x0800;
const STATUS: u16 = 0x0900;
const INSTANCE: u16 = 0x1000;

/// A command set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command(BTreeMap<u16, Vec<u8>>);

impl Command {
    /// A request: to store an instance, or (without one) to answer.
    pub fn request(field: u16, id: u16, class: &str, instance: Option<&str>) -> Self {
        let mut command = Self::default();
        command.uid(CLASS, class);
        command.number(FIELD, field);
        command.number(ID, id);
        match instance {
            Some(instance) => {
                command.number(PRIORITY, 0);
                command.number(DATA_TYPE, 0);
                command.uid(INSTANCE, instance);
            }
            None => command.number(DATA_TYPE, NO_DATA),
        }
        command
    }

    /// The answer to this request.
    pub fn answer(&self, status: u16) -> Self {
        let mut answer = Self::default();
        for element in [CLASS, INSTANCE] {
            if let Some(value) = self.0.get(&element) {
                answer.0.insert(element, value.clone());
            }
        }
        answer.number(FIELD, self.field().unwrap_or(0) | ANSWER);
        answer.number(ANSWERED_ID, self.value(ID).unwrap_or(0));
        answer.number(DATA_TYPE, NO_DATA);
        answer.number(STATUS, status);
        answer
    }

    /// From its bytes; `None` where they are no command set.
    pub fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut elements = BTreeMap::new();
        while !bytes.is_empty() {
            let head: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let value = bytes.get(8..8usize.checked_add(length)?)?;
            if head[..2] != [0, 0] {
                return None;
            }
            elements.insert(u16::from_le_bytes([head[2], head[3]]), value.to_vec());
            bytes = &bytes[8 + length..];
        }
        Some(Self(elements))
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (element, value) in &self.0 {
            put(&mut body, *element, value);
        }
        let mut all = Vec::new();
        put(&mut all, GROUP_LENGTH, &(body.len() as u32).to_le_bytes());
        all.extend(body);
        all
    }

    /// What is asked for, or answered.
    pub fn field(&self) -> Option<u16> {
        self.value(FIELD)
    }

    /// How it went; 0 is well.
    pub fn status(&self) -> Option<u16> {
        self.value(STATUS)
    }

    /// Whether a data set follows.
    pub fn has_data(&self) -> bool {
        self.value(DATA_TYPE) != Some(NO_DATA)
    }

    /// AffectedSOPClassUID.
    pub fn class(&self) -> String {
        self.text(CLASS)
    }

    /// AffectedSOPInstanceUID.
    pub fn instance(&self) -> String {
        self.text(INSTANCE)
    }

    fn text(&self, element: u16) -> String {
        let value = self.0.get(&element).map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_owned()
    }

    fn value(&self, element: u16) -> Option<u16> {
        let value = self.0.get(&element)?;
        Some(u16::from_le_bytes([*value.first()?, *value.get(1)?]))
    }

    fn uid(&mut self, element: u16, uid: &str) {
        let mut value = uid.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(0);
        }
        self.0.insert(element, value);
    }

    fn number(&mut self, element: u16, value: u16) {
        self.0.insert(element, value.to_le_bytes().to_vec());
    }
}

fn put(into: &mut Vec<u8>, element: u16, value: &[u8]) {
    into.extend([0, 0]);
    into.extend(element.to_le_bytes());
    into.extend((value.len() as u32).to_le_bytes());
    into.extend(value);
}
