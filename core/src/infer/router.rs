//! The brute-force rival of attention: tell the region of a slice first, then ask the network of that region.
//!
//! It holds six networks where AttentionAnatomy holds one, and every slice runs two of them. It exists for comparison.

use std::collections::VecDeque;

use super::engine::{Engine, EngineError, SliceRequest, SliceResult, Ticket, Wait};
use super::prediction::SlicePrediction;
use crate::anatomy::{ORGAN_COUNT, OrganSet, REGION_COUNT, Region};

/// A region classifier and one engine for each region.
pub struct RegionRouter {
    classifier: Box<dyn Engine>,
    specialists: [Option<Box<dyn Engine>>; REGION_COUNT],
    queue: VecDeque<SliceResult>,
    next: u64,
}

impl std::fmt::Debug for RegionRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegionRouter").field("queued", &self.queue.len()).finish()
    }
}

impl RegionRouter {
    /// `classifier` must tell regions; `specialists` are in the order of the regions. Where a region has none, the most likely
    /// region that has one takes its slices.
    pub fn new(classifier: Box<dyn Engine>, specialists: [Option<Box<dyn Engine>>; REGION_COUNT]) -> Self {
        Self { classifier, specialists, queue: VecDeque::new(), next: 0 }
    }

    fn compute(&mut self, request: SliceRequest) -> Result<SlicePrediction, EngineError> {
        let slice = request.slice;
        let unusable = |reason: &str| EngineError::BadAnswer { slice, reason: reason.into() };
        let ask = |engine: &mut Box<dyn Engine>, request: SliceRequest| {
            engine.submit(request);
            engine.poll(Wait::Yes).ok_or_else(|| unusable("there is none"))?.outcome
        };
        let probabilities = ask(&mut self.classifier, request.clone())?.regions.ok_or_else(|| unusable("no region"))?;
        let known = std::array::from_fn(|r| if self.specialists[r].is_some() { probabilities[r] } else { 0.0 });
        let specialist = self.specialists[Region::most_likely(&known).index()].as_mut();
        let prediction = ask(specialist.ok_or_else(|| unusable("no network for its region"))?, request)?;
        Ok(SlicePrediction { regions: Some(probabilities), ..prediction })
    }
}

impl Engine for RegionRouter {
    fn name(&self) -> String {
        self.classifier.name()
    }

    fn set_enabled(&mut self, enabled: OrganSet) {
        self.specialists.iter_mut().flatten().for_each(|engine| engine.set_enabled(enabled));
    }

    fn rest(&mut self) {
        self.classifier.rest();
        self.specialists.iter_mut().flatten().for_each(|engine| engine.rest());
    }

    /// Computes here, on any device: which network is next is not known before the region is.
    fn submit(&mut self, request: SliceRequest) -> Ticket {
        let (ticket, slice) = (Ticket(self.next), request.slice);
        self.next += 1;
        let outcome = self.compute(request);
        self.queue.push_back(SliceResult { ticket, slice, outcome, labels: Vec::new() });
        ticket
    }

    fn poll(&mut self, _wait: Wait) -> Option<SliceResult> {
        self.queue.pop_front()
    }

    /// There is no attention to change.
    fn reweight(&mut self, _slice: usize, _attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Tile;

    /// Answers with one region and one class.
    struct Says(Option<[f32; REGION_COUNT]>, u8, Option<SliceResult>);

    impl Engine for Says {
        fn name(&self) -> String {
            "stub".into()
        }
        fn set_enabled(&mut self, _: OrganSet) {}
        fn submit(&mut self, request: SliceRequest) -> Ticket {
            let prediction = SlicePrediction {
                slice: request.slice,
                origin: [0, 0],
                size: [1, 1],
                classes: vec![0, self.1],
                probabilities: vec![0.1, 0.9],
                attention: None,
                regions: self.0,
            };
            self.2 = Some(SliceResult {
                ticket: Ticket(7),
                slice: request.slice,
                outcome: Ok(prediction),
                labels: Vec::new(),
            });
            Ticket(7)
        }
        fn poll(&mut self, _: Wait) -> Option<SliceResult> {
            self.2.take()
        }
        fn reweight(&mut self, _: usize, _: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
            None
        }
    }

    fn router(regions: Option<[f32; REGION_COUNT]>) -> RegionRouter {
        // The last region has none.
        let specialist = |n: usize| -> Option<Box<dyn Engine>> {
            (n < REGION_COUNT - 1).then(|| -> Box<dyn Engine> { Box::new(Says(None, 10 + n as u8, None)) })
        };
        RegionRouter::new(Box::new(Says(regions, 1, None)), std::array::from_fn(specialist))
    }

    fn request(slice: usize) -> SliceRequest {
        SliceRequest { slice, tiles: vec![Tile::whole([0, 0], vec![0.0], 1)], centre: None, labels: None }
    }

    #[test]
    fn a_slice_goes_to_the_network_of_its_most_likely_region() {
        let regions = [0.1, 0.1, 0.2, 0.5, 0.1];
        let mut router = router(Some(regions));
        let tickets = [router.submit(request(3)), router.submit(request(4))];
        assert_ne!(tickets[0], tickets[1]);
        for (ticket, slice) in tickets.into_iter().zip([3, 4]) {
            let result = router.poll(Wait::No).unwrap();
            assert_eq!((result.ticket, result.slice), (ticket, slice));
            let prediction = result.outcome.unwrap();
            assert_eq!((prediction.classes, prediction.regions), (vec![0, 13], Some(regions)));
        }
        assert!(router.poll(Wait::Yes).is_none());
    }

    #[test]
    fn a_region_without_a_network_is_served_by_the_next_likely_one() {
        let mut router = router(Some([0.1, 0.2, 0.0, 0.1, 0.6]));
        router.submit(request(1));
        assert_eq!(router.poll(Wait::Yes).unwrap().outcome.unwrap().classes, [0, 11]);
    }

    #[test]
    fn a_classifier_without_regions_is_an_error_of_that_slice() {
        let mut router = router(None);
        router.submit(request(9));
        let error = router.poll(Wait::Yes).unwrap().outcome.unwrap_err();
        assert!(error.to_string().contains("slice 9"), "{error}");
    }
}
