//! What a caller asks for: one of several series, as it is or mended.

use super::choice::SeriesChoice;
use super::repairs::Repairs;

/// Which series is read, and what may be mended of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesRequest {
    /// Which of several series.
    pub choice: SeriesChoice,
    /// What may be mended.
    pub repairs: Repairs,
}

impl From<SeriesChoice> for SeriesRequest {
    fn from(choice: SeriesChoice) -> Self {
        Self { choice, repairs: Repairs::default() }
    }
}

impl From<&SeriesChoice> for SeriesRequest {
    fn from(choice: &SeriesChoice) -> Self {
        choice.clone().into()
    }
}

impl From<&SeriesRequest> for SeriesRequest {
    fn from(request: &SeriesRequest) -> Self {
        request.clone()
    }
}
