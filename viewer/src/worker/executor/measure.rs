//! Comparison with a reference, an organ at a time: the surfaces of a large organ take a second.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::metrics::{DEFAULT_TOLERANCE_MM, OrganMetrics, compare_organ};
use attention_anatomy::volume::LabelVolume;

use super::{Executor, Step};
use crate::edit::ByteSlices;
use crate::worker::Event;

/// A comparison under way.
pub(super) struct Comparing {
    number: u64,
    labels: LabelVolume,
    reference: LabelVolume,
    /// Of the organs so far, in their order.
    metrics: Vec<Option<OrganMetrics>>,
}

impl Executor {
    /// A newer comparison takes the place of an older one.
    pub(super) fn start_comparing(&mut self, number: u64, labels: &ByteSlices, reference: &ByteSlices) {
        let ct = self.study.as_ref().map(|s| &s.ct);
        let fits = |ct: &&std::sync::Arc<_>| -> bool {
            let ct: &attention_anatomy::volume::CtVolume = ct;
            [labels, reference].iter().all(|l| l.len() == ct.geometry.voxel_count())
        };
        let Some(ct) = ct.filter(fits) else {
            let message = "the label maps do not belong to the open CT; open the reference again";
            self.events.push_back(Event::Failed(message.into()));
            return;
        };
        let volume = |labels: &ByteSlices| ct.with_voxels(labels.to_vec());
        self.comparing =
            Some(Comparing { number, labels: volume(labels), reference: volume(reference), metrics: Vec::new() });
    }

    pub(super) fn step_comparing(&mut self) -> Step {
        let Some(comparing) = &mut self.comparing else { return Step::Idle };
        let Comparing { number, labels, reference, metrics } = comparing;
        if let Some(&organ) = Organ::ALL.get(metrics.len()) {
            metrics.push(compare_organ(reference, labels, organ, DEFAULT_TOLERANCE_MM));
        } else {
            self.events.push_back(Event::Compared { number: *number, metrics: std::mem::take(metrics) });
            self.comparing = None;
        }
        Step::Worked
    }
}
