//! The lines of `metrics.jsonl`: what a training says of itself while it runs, one JSON object a line.

use serde::{Deserialize, Serialize};

use super::{StepReport, ValidationReport};

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogLine {
    /// An optimiser step.
    Step(StepReport),
    /// A validation.
    Validation(Validation),
}

/// A validation and when it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Validation {
    /// Steps done.
    pub step: u64,
    /// Seconds since the training began or was resumed.
    pub seconds: f64,
    /// What was found.
    #[serde(flatten)]
    pub report: ValidationReport,
}

impl LogLine {
    /// The lines of a log. What cannot be read, as the half line that a kill leaves, is left out.
    pub fn parse_all(text: &str) -> Vec<Self> {
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step(report) => report.step,
            Self::Validation(validation) => validation.step,
        }
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// The reason, should it not be writable.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_can_be_read_back_and_a_half_line_is_left_out() {
        let step = StepReport {
            step: 7,
            phase: "joint".into(),
            learning_rate: 1e-3,
            dice: Some(0.5),
            focal: None,
            region: Some(0.25),
            cross_entropy: None,
            presence: None,
            total: 0.75,
        };
        let report = ValidationReport {
            slices: 4,
            dice: vec![("liver".into(), Some(0.5)), ("heart".into(), None)],
            mean_dice: Some(0.5),
            region_accuracy: None,
        };
        let lines = [LogLine::Step(step), LogLine::Validation(Validation { step: 7, seconds: 1.5, report })];
        let text: String = lines.iter().map(|line| line.to_json().unwrap() + "\n").collect();
        assert!(text.starts_with(r#"{"event":"step","step":7,"#) && text.contains(r#"["heart",null]"#), "{text}");
        let read = LogLine::parse_all(&text[..text.len() - 1]);
        assert_eq!(format!("{read:?}"), format!("{lines:?}"));
        assert_eq!(LogLine::parse_all(&text[..text.len() - 5]).len(), 1);
    }
}
