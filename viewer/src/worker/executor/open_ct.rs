//! The open CT, and what is known of its last run.

use std::sync::Arc;

use attention_anatomy::formats::Reference;
use attention_anatomy::formats::dicom::SeriesInfo;
use attention_anatomy::infer::Provenance;
use attention_anatomy::preprocess::{Body, InputConfig, ModelSlices};
use attention_anatomy::volume::{CtVolume, NotCt, check_is_ct};

use crate::session::CtKey;
use crate::worker::error::NetworkError;

/// The open CT.
pub(super) struct OpenCt {
    pub(super) name: String,
    pub(super) ct: Arc<CtVolume>,
    /// What tells the CT from others.
    pub(super) key: CtKey,
    /// The DICOM series that it is, if it is one: what structures refer to.
    pub(super) series: Option<Box<SeriesInfo>>,
    body: Option<Arc<Body>>,
    slices: Option<Arc<ModelSlices>>,
    /// Values that do not look like HU are taken as HU: the user said so.
    pub(super) assume_hu: bool,
    /// How the labels of the last run came about, once it is over.
    pub(super) provenance: Option<Provenance>,
}

impl OpenCt {
    pub(super) fn new(name: String, ct: Arc<CtVolume>, key: CtKey, series: Option<Box<SeriesInfo>>) -> Self {
        Self { name, ct, key, series, body: None, slices: None, assume_hu: false, provenance: None }
    }

    /// What contours are drawn on.
    pub(super) fn reference(&self) -> Reference {
        Reference::of(&self.ct, self.series.as_deref())
    }

    /// Where the patient is, looked for when it is first asked for.
    pub(super) fn body(&mut self) -> Arc<Body> {
        self.body.get_or_insert_with(|| Arc::new(Body::find(&self.ct))).clone()
    }

    /// The CT as the network sees it, made when it is first asked for.
    pub(super) fn slices(&mut self, input: &InputConfig) -> Result<Arc<ModelSlices>, NetworkError> {
        if let Some(slices) = self.slices.as_ref().filter(|s| s.config() == input) {
            return Ok(slices.clone());
        }
        match check_is_ct(&self.ct) {
            Err(NotCt::Values(_)) if self.assume_hu => {}
            checked => checked?,
        }
        let body = self.body();
        let slices = ModelSlices::with_body(self.ct.clone(), body, input)?;
        Ok(self.slices.insert(Arc::new(slices)).clone())
    }
}
