//! The open CT, and what is known of its last run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::preprocess::{Body, InputConfig, ModelSlices};
use attention_anatomy::volume::{CtVolume, check_is_ct};

use crate::worker::WeightsReady;

/// The open CT.
pub(super) struct Study {
    pub(super) name: String,
    pub(super) ct: Arc<CtVolume>,
    body: Option<Arc<Body>>,
    slices: Option<Arc<ModelSlices>>,
    pub(super) record: Option<Record>,
}

/// How the labels of the last run came about.
pub(super) struct Record {
    pub(super) weights: WeightsReady,
    pub(super) device: String,
    pub(super) notes: Vec<String>,
    /// Since 1970.
    pub(super) started: Duration,
    pub(super) seconds: Vec<(String, f64)>,
    pub(super) drawn: OrganSet,
    pub(super) cleanup: bool,
    /// Voxels that the clean-up took away.
    pub(super) removed: usize,
    /// Slices done, and in all.
    pub(super) done: [usize; 2],
    /// By canonical slice.
    pub(super) anatomy: BTreeMap<usize, SliceAnatomy>,
}

impl Study {
    pub(super) fn new(name: String, ct: Arc<CtVolume>) -> Self {
        Self { name, ct, body: None, slices: None, record: None }
    }

    /// The CT as the network sees it, made when it is first asked for.
    pub(super) fn slices(&mut self, input: &InputConfig) -> Result<Arc<ModelSlices>, String> {
        if let Some(slices) = self.slices.as_ref().filter(|s| s.config() == input) {
            return Ok(slices.clone());
        }
        let body = match &self.body {
            Some(body) => body.clone(),
            None => {
                check_is_ct(&self.ct).map_err(|e| e.to_string())?;
                self.body.insert(Arc::new(Body::find(&self.ct))).clone()
            }
        };
        let slices = ModelSlices::with_body(self.ct.clone(), body, input).map_err(|e| e.to_string())?;
        Ok(self.slices.insert(Arc::new(slices)).clone())
    }
}
