//! Structures made of others, as a planner says it: `Lungs = Lung_L or Lung_R`, `Cord_PRV = SpinalCord grow 5`,
//! `Rind = (BODY shrink 3) minus (BODY shrink 8)`.
//!
//! ```text
//! rule  = name "=" sum
//! sum   = grown { ("or" | "and" | "minus") grown }      from left to right
//! grown = part { ("grow" | "shrink") number { side number } }
//! part  = name | "(" sum ")"
//! side  = "left" | "right" | "anterior" | "posterior" | "superior" | "inferior"
//! ```
//!
//! The number behind `grow` and `shrink` is mm in all directions; numbers behind sides are theirs. A name with spaces, or one that is a
//! word of the above, stands in quotation marks. A name is that of a structure as the file has it, or of an organ in any spelling that
//! is known.

use super::structures::{BODY, EXTERNAL, OtherStructure, Structures};
use crate::anatomy::Organ;
use crate::raster::{Margin, difference, grow, intersection, shrink, union};

/// Margins beyond this are no margins, mm.
const MAX_MM: f64 = 500.0;
/// Words of a rule: each may lie one step deeper than the last, in parentheses or in a chain, and what is that deep is walked through by
/// recursion.
const MAX_WORDS: usize = 128;
/// What a structure is drawn in that has no colour yet.
const COLOUR: [u8; 3] = [255, 128, 0];

/// Why a rule makes no structure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExpressionError {
    /// It is not written as rules are.
    #[error(
        "\"{rule}\" cannot be understood at {at}: {expected} is missing; write NAME = A or B, A and B, A minus B, A grow 5, A shrink 3"
    )]
    Syntax {
        /// The rule.
        rule: String,
        /// What stands there.
        at: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// No structure has the name.
    #[error("there is no structure {name}; there are {available}")]
    Unknown {
        /// The name.
        name: String,
        /// Names that there are.
        available: String,
    },
    /// A margin that cannot be meant.
    #[error("a margin of {0} mm cannot be meant; it lies between 0 and {MAX_MM} mm")]
    Margin(f64),
}

/// A word of a rule.
#[derive(Clone, Debug, PartialEq)]
enum Word {
    Open,
    Close,
    Equals,
    Name(String),
    Plain(String),
}

/// A rule that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What is made.
    pub name: String,
    made_of: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Name(String),
    Both(Box<Node>, Operator, Box<Node>),
    Grow(Box<Node>, Margin),
    Shrink(Box<Node>, Margin),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Or,
    And,
    Minus,
}

/// Words that mean something.
const WORDS: [&str; 11] =
    ["or", "and", "minus", "grow", "shrink", "left", "right", "anterior", "posterior", "superior", "inferior"];

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`], [`ExpressionError::Margin`].
    pub fn parse(rule: &str) -> Result<Self, ExpressionError> {
        let mut reader = Reader { rule, words: words(rule), at: 0 };
        if reader.words.len() > MAX_WORDS {
            return Err(reader.missing("a shorter rule"));
        }
        let name = reader.name("a name")?;
        reader.expect(&Word::Equals, "=")?;
        let made_of = reader.sum()?;
        if reader.at < reader.words.len() {
            return Err(reader.missing("or, and, minus, grow, shrink or the end"));
        }
        Ok(Self { name, made_of })
    }

    /// Whether the rule speaks of the outline of the body, which a file need not have.
    pub fn needs_body(&self) -> bool {
        fn names(node: &Node) -> bool {
            match node {
                Node::Name(name) => name.eq_ignore_ascii_case(BODY),
                Node::Both(a, _, b) => names(a) || names(b),
                Node::Grow(a, _) | Node::Shrink(a, _) => names(a),
            }
        }
        names(&self.made_of)
    }

    /// Makes the structure of those that there are, and adds it to them; one of the same name is replaced. Of an organ, voxels that
    /// belong to another organ stay with that.
    ///
    /// # Errors
    /// [`ExpressionError::Unknown`]
    pub fn apply(&self, structures: &mut Structures, body: Option<&[u8]>) -> Result<(), ExpressionError> {
        let made = Context { structures, body }.mask(&self.made_of)?;
        if let Some(organ) = Organ::from_name(&self.name) {
            let label = organ.label();
            let mut taken = 0usize;
            for (voxel, &inside) in structures.labels.voxels.iter_mut().zip(&made) {
                match (inside != 0, *voxel) {
                    (false, own) if own == label => *voxel = 0,
                    (true, 0) => *voxel = label,
                    (true, other) => taken += usize::from(other != label),
                    (false, _) => {}
                }
            }
            structures.organs.insert(organ);
            if taken > 0 {
                structures
                    .warnings
                    .push(format!("{}: {taken} voxels belong to other organs and stay with them", self.name));
            }
            return Ok(());
        }
        let old = structures.others.iter().position(|o| o.name == self.name);
        let known = old.map(|n| structures.others.remove(n));
        let made = OtherStructure {
            name: self.name.clone(),
            colour: known.as_ref().map_or(Some(COLOUR), |o| o.colour),
            interpreted_type: known.map(|o| o.interpreted_type).unwrap_or_default(),
            voxels: super::structures::runs(&made),
        };
        structures.others.push(made);
        Ok(())
    }
}

struct Context<'a> {
    structures: &'a Structures,
    body: Option<&'a [u8]>,
}

impl Context<'_> {
    fn mask(&self, node: &Node) -> Result<Vec<u8>, ExpressionError> {
        let geometry = &self.structures.labels.geometry;
        let (size, spacing) = (geometry.size, geometry.spacing());
        Ok(match node {
            Node::Name(name) => self.named(name)?,
            Node::Grow(a, margin) => grow(&self.mask(a)?, size, spacing, *margin),
            Node::Shrink(a, margin) => shrink(&self.mask(a)?, size, spacing, *margin),
            Node::Both(a, operator, b) => {
                let (a, b) = (self.mask(a)?, self.mask(b)?);
                match operator {
                    Operator::Or => union(&a, &b),
                    Operator::And => intersection(&a, &b),
                    Operator::Minus => difference(&a, &b),
                }
            }
        })
    }

    /// As it is written in the file, else the organ that the name means, else the body.
    fn named(&self, name: &str) -> Result<Vec<u8>, ExpressionError> {
        let voxels = &self.structures.labels.voxels;
        let others = &self.structures.others;
        let found = others.iter().find(|o| o.name == name);
        if let Some(other) = found.or_else(|| others.iter().find(|o| o.name.eq_ignore_ascii_case(name))) {
            return Ok(other.mask(voxels.len()));
        }
        if let Some(organ) = Organ::from_name(name).filter(|&organ| self.structures.organs.contains(organ)) {
            return Ok(voxels.iter().map(|&v| u8::from(v == organ.label())).collect());
        }
        if name.eq_ignore_ascii_case(BODY) {
            if let Some(outline) = others.iter().find(|o| o.interpreted_type == EXTERNAL) {
                return Ok(outline.mask(voxels.len()));
            }
            if let Some(body) = self.body.filter(|body| body.len() == voxels.len()) {
                return Ok(body.to_vec());
            }
        }
        let organs = self.structures.organs.iter().map(|o| o.tg263().to_owned());
        let mut available: Vec<String> = organs.chain(others.iter().map(|o| o.name.clone())).collect();
        if available.is_empty() {
            available.push("none".into());
        }
        Err(ExpressionError::Unknown { name: name.to_owned(), available: available.join(", ") })
    }
}

fn words(rule: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = rule.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '(' | ')' | '=' => {
                words.push(match first {
                    '(' => Word::Open,
                    ')' => Word::Close,
                    _ => Word::Equals,
                });
                1
            }
            '"' => {
                let inside = &rest[1..];
                let length = inside.find('"').unwrap_or(inside.len());
                words.push(Word::Name(inside[..length].trim().to_owned()));
                (length + 2).min(rest.len())
            }
            _ => {
                let length = rest.find(|c: char| c.is_whitespace() || "()=\"".contains(c)).unwrap_or(rest.len());
                words.push(Word::Plain(rest[..length].to_owned()));
                length
            }
        };
        rest = rest[end..].trim_start();
    }
    words
}

struct Reader<'a> {
    rule: &'a str,
    words: Vec<Word>,
    at: usize,
}

impl Reader<'_> {
    fn missing(&self, expected: &'static str) -> ExpressionError {
        let at = match self.words.get(self.at) {
            None => "its end".to_owned(),
            Some(Word::Open) => "\"(\"".into(),
            Some(Word::Close) => "\")\"".into(),
            Some(Word::Equals) => "\"=\"".into(),
            Some(Word::Name(word) | Word::Plain(word)) => format!("\"{word}\""),
        };
        ExpressionError::Syntax { rule: self.rule.to_owned(), at, expected }
    }

    fn expect(&mut self, word: &Word, expected: &'static str) -> Result<(), ExpressionError> {
        if self.words.get(self.at) != Some(word) {
            return Err(self.missing(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn name(&mut self, expected: &'static str) -> Result<String, ExpressionError> {
        let name = match self.words.get(self.at) {
            Some(Word::Name(name)) if !name.is_empty() => name.clone(),
            Some(Word::Plain(name)) if !WORDS.contains(&name.as_str()) => name.clone(),
            _ => return Err(self.missing(expected)),
        };
        self.at += 1;
        Ok(name)
    }

    /// The next word, if it is one of the plain `words`.
    fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let Some(Word::Plain(word)) = self.words.get(self.at) else { return None };
        let found = words.iter().copied().find(|w| w == word)?;
        self.at += 1;
        Some(found)
    }

    fn sum(&mut self) -> Result<Node, ExpressionError> {
        let mut sum = self.grown()?;
        while let Some(word) = self.one_of(&WORDS[..3]) {
            let operator = match word {
                "or" => Operator::Or,
                "and" => Operator::And,
                _ => Operator::Minus,
            };
            sum = Node::Both(Box::new(sum), operator, Box::new(self.grown()?));
        }
        Ok(sum)
    }

    fn grown(&mut self) -> Result<Node, ExpressionError> {
        let mut node = if self.words.get(self.at) == Some(&Word::Open) {
            self.at += 1;
            let node = self.sum()?;
            self.expect(&Word::Close, ")")?;
            node
        } else {
            self.name("a name or \"(\"")?.into()
        };
        while let Some(word) = self.one_of(&WORDS[3..5]) {
            let mut margin = match self.words.get(self.at) {
                Some(Word::Plain(side)) if WORDS[5..].contains(&side.as_str()) => Margin::default(),
                _ => Margin::uniform(self.number()?),
            };
            // On a canonical grid i runs to the left, j to the posterior, k to the superior.
            while let Some(side) = self.one_of(&WORDS[5..]) {
                let mm = self.number()?;
                match side {
                    "left" => margin.higher[0] = mm,
                    "right" => margin.lower[0] = mm,
                    "posterior" => margin.higher[1] = mm,
                    "anterior" => margin.lower[1] = mm,
                    "superior" => margin.higher[2] = mm,
                    _ => margin.lower[2] = mm,
                }
            }
            let inside = Box::new(node);
            node = if word == "grow" { Node::Grow(inside, margin) } else { Node::Shrink(inside, margin) };
        }
        Ok(node)
    }

    fn number(&mut self) -> Result<f64, ExpressionError> {
        let number = match self.words.get(self.at) {
            Some(Word::Plain(word)) => word.trim_end_matches("mm").parse::<f64>().ok(),
            _ => None,
        };
        let mm = number.ok_or_else(|| self.missing("a number of mm"))?;
        self.at += 1;
        if (0.0..=MAX_MM).contains(&mm) { Ok(mm) } else { Err(ExpressionError::Margin(mm)) }
    }
}

impl From<String> for Node {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::OrganSet;
    use crate::volume::{Geometry, Modality, Volume};

    const SIZE: [usize; 3] = [12, 10, 8];

    /// A liver of 3 x 3 x 3 voxels, a stomach beside it, and a structure that is no organ.
    fn structures() -> Structures {
        let grid = Geometry::axial(SIZE, [1.0, 2.0, 3.0], [0.0; 3]).unwrap();
        let mut voxels = vec![0; 960];
        let mut other = vec![0; 960];
        for n in 0..960 {
            let [x, y, z] = [n % 12, n / 12 % 10, n / 120];
            let within = |x0: usize| (x0..x0 + 3).contains(&x) && (3..6).contains(&y) && (2..5).contains(&z);
            if within(2) {
                voxels[n] = Organ::Liver.label();
            } else if within(5) {
                voxels[n] = Organ::Stomach.label();
            }
            other[n] = u8::from(within(4));
        }
        let labels = Volume::from_stored(grid, voxels, Modality::Unknown).unwrap();
        let others = vec![OtherStructure {
            name: "GTV 1".into(),
            colour: Some([1, 2, 3]),
            interpreted_type: "GTV".into(),
            voxels: super::super::structures::runs(&other),
        }];
        let organs: OrganSet = [Organ::Liver, Organ::Stomach].into_iter().collect();
        Structures { labels, organs, others, by_number: false, warnings: Vec::new() }
    }

    fn count(rule: &str) -> usize {
        let mut all = structures();
        let body = vec![1; 960];
        Rule::parse(rule).unwrap().apply(&mut all, Some(&body)).unwrap();
        all.others.last().unwrap().voxels.iter().map(std::ops::Range::len).sum()
    }

    #[test]
    fn rules_say_what_a_planner_says() {
        assert_eq!(count("A = Liver or Stomach"), 54);
        assert_eq!(count("A = Liver and \"GTV 1\""), 9);
        assert_eq!(count("A = \"GTV 1\" minus Liver minus Stomach"), 0);
        assert_eq!(count("A = \"GTV 1\" minus (Liver minus Stomach)"), 18);
        // Names of organs in any spelling that is known.
        assert_eq!(count("A = LIVER or stomach"), 54);
        // One voxel of 1 mm to each side along i, none of 2 mm or 3 mm.
        assert_eq!(count("A = Liver grow 1"), 45);
        assert_eq!(count("A = Liver grow 1mm left 2"), 54);
        assert_eq!(count("A = Liver grow superior 3"), 36);
        assert_eq!(count("A = Liver shrink 1"), 9);
        assert_eq!(count("A = Liver shrink right 1"), 18);
        assert_eq!(count("A = (BODY minus Liver) and (Liver grow 1)"), 18);
        assert_eq!(count("A = Liver grow 1 shrink 1"), 27);
    }

    #[test]
    fn a_structure_of_the_same_name_is_replaced_and_organs_keep_their_voxels() {
        let mut all = structures();
        Rule::parse("\"GTV 1\" = \"GTV 1\" grow 1").unwrap().apply(&mut all, None).unwrap();
        assert_eq!((all.others.len(), all.others[0].colour), (1, Some([1, 2, 3])));
        assert_eq!(all.others[0].interpreted_type, "GTV");
        Rule::parse("Liver = Liver grow 1").unwrap().apply(&mut all, None).unwrap();
        let of = |organ: Organ| all.labels.voxels.iter().filter(|&&v| v == organ.label()).count();
        assert_eq!((of(Organ::Liver), of(Organ::Stomach)), (36, 27));
        assert!(all.warnings[0].contains("9 voxels belong to other organs"), "{:?}", all.warnings);
        Rule::parse("Kidney_L = Stomach and Liver").unwrap().apply(&mut all, None).unwrap();
        assert!(all.organs.contains(Organ::KidneyLeft));
    }

    #[test]
    fn what_cannot_be_understood_is_said_with_its_place() {
        for (rule, part) in [
            ("", "its end"),
            ("A", "= is missing"),
            ("A = ", "a name"),
            ("A = or B", "at \"or\""),
            ("A = (B", ") is missing"),
            ("A = B C", "at \"C\""),
            ("A = B grow", "a number of mm"),
            ("A = B grow x", "at \"x\""),
            ("A = B grow 501", "501 mm"),
            ("A = B grow -1", "-1 mm"),
            ("A = B grow NaN", "NaN mm"),
        ] {
            let error = Rule::parse(rule).unwrap_err().to_string();
            assert!(error.contains(part), "{rule}: {error}");
        }
        let deep = format!("A = {}B{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(Rule::parse(&deep).is_err());
        // Without parentheses, too, each operation holds the one before.
        for chain in [" grow 1", " or B"] {
            assert!(Rule::parse(&format!("A = B{}", chain.repeat(100_000))).is_err(), "{chain}");
        }
        let error = Rule::parse("A = Spleen").unwrap().apply(&mut structures(), None).unwrap_err();
        assert_eq!(error.to_string(), "there is no structure Spleen; there are Liver, Stomach, GTV 1");
        assert!(Rule::parse("A = BODY shrink 3").unwrap().needs_body());
        assert!(!Rule::parse("A = B").unwrap().needs_body());
    }
}
