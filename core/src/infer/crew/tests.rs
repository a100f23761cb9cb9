use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::*;
use crate::infer::Tile;
use crate::network::NetworkConfig;
use crate::preprocess::InputConfig;

const CROP: usize = 32;

/// Helpers in this thread, of whom the test says what becomes of them.
struct Bench {
    helpers: Vec<Option<Helper>>,
    asked: Vec<VecDeque<Vec<u8>>>,
    mute: Vec<bool>,
    words: VecDeque<(usize, HelperWord)>,
    random: Pcg64,
    started: bool,
    rests: usize,
    answers: usize,
    /// What a helper says in place of its so-many-th answer; nothing at all where `None`.
    instead: BTreeMap<usize, Option<HelperWord>>,
}

#[derive(Clone)]
struct Shared(Rc<RefCell<Bench>>);

impl Shared {
    fn of(helpers: Vec<PlanEngine>) -> Self {
        let count = helpers.len();
        Self(Rc::new(RefCell::new(Bench {
            helpers: helpers.into_iter().map(|engine| Some(Helper(engine))).collect(),
            asked: vec![VecDeque::new(); count],
            mute: vec![false; count],
            words: VecDeque::new(),
            random: Pcg64::seed_from_u64(7),
            started: false,
            rests: 0,
            answers: 0,
            instead: BTreeMap::new(),
        })))
    }
}

impl Helpers for Shared {
    fn start(&mut self) {
        let mut bench = self.0.borrow_mut();
        if !std::mem::replace(&mut bench.started, true) {
            let ready = (0..bench.helpers.len()).map(|n| (n, HelperWord::Ready)).collect();
            bench.words = ready;
        }
    }

    fn receive(&mut self) -> Option<(usize, HelperWord)> {
        let mut bench = self.0.borrow_mut();
        if let Some(word) = bench.words.pop_front() {
            return Some(word);
        }
        // One answers now and then, whoever was asked first.
        let asked: Vec<usize> =
            (0..bench.asked.len()).filter(|&n| !bench.mute[n] && !bench.asked[n].is_empty()).collect();
        if asked.is_empty() || bench.random.random_range(0..3) == 0 {
            return None;
        }
        let helper = asked[bench.random.random_range(0..asked.len())];
        bench.answers += 1;
        let count = bench.answers;
        match bench.instead.remove(&count) {
            Some(Some(word)) => Some((helper, word)),
            Some(None) => {
                bench.mute[helper] = true;
                None
            }
            None => {
                let question = bench.asked[helper].pop_front()?;
                let answer = bench.helpers[helper].as_mut()?.answer(&question)?;
                Some((helper, HelperWord::Answer(answer)))
            }
        }
    }

    fn ask(&mut self, helper: usize, question: Vec<u8>) {
        self.0.borrow_mut().asked[helper].push_back(question);
    }

    fn dismiss(&mut self, helper: usize) {
        let mut bench = self.0.borrow_mut();
        bench.helpers[helper] = None;
        bench.asked[helper].clear();
    }

    fn count(&self) -> usize {
        self.0.borrow().helpers.iter().flatten().count()
    }

    fn rest(&mut self) {
        self.0.borrow_mut().rests += 1;
    }
}

/// A crew, its helpers, and the same engine alone.
fn crew(helpers: usize) -> (Crew<Shared>, Shared, PlanEngine) {
    let network = NetworkConfig { base: 4, levels: 3, stack: 5, attention: true }.init(&Device::flex());
    let input = InputConfig { crop: CROP, ..InputConfig::light() };
    let engine = || PlanEngine::new(network.clone(), input.clone(), OrganSet::ALL, "cpu".into()).unwrap();
    let shared = Shared::of((0..helpers).map(|_| engine()).collect());
    (Crew::new(engine(), shared.clone()), shared, engine())
}

fn tile(origin: [i64; 2], seed: usize) -> Tile {
    let stack = (0..5 * CROP * CROP).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 100.0).collect();
    Tile::whole(origin, stack, CROP)
}

fn request(slice: usize) -> SliceRequest {
    // Now and then a body wider than the field.
    if slice % 7 == 3 {
        let tiles = vec![tile([-10, 2], slice), tile([6, 2], slice + 1)];
        return SliceRequest { slice, tiles, centre: Some(tile([-2, 2], slice)), labels: None };
    }
    SliceRequest { slice, tiles: vec![tile([3, -4], slice)], centre: None, labels: None }
}

/// All of `count` slices, fed as a run feeds them, each looked at as it comes.
fn run(crew: &mut Crew<Shared>, count: usize, mut see: impl FnMut(&mut Crew<Shared>, usize, SlicePrediction)) {
    let (mut next, mut under_way) = (0, BTreeMap::new());
    while next < count || !under_way.is_empty() {
        while next < count && under_way.len() < crew.depth() {
            under_way.insert(crew.submit(request(next)), next);
            next += 1;
        }
        if let Some(result) = crew.poll(Wait::No) {
            assert_eq!(under_way.remove(&result.ticket), Some(result.slice), "each slice once");
            see(crew, result.slice, result.outcome.unwrap());
        }
    }
    assert!(crew.poll(Wait::No).is_none());
}

/// That every slice is what the engine alone makes of it, and so is a what-if.
fn assert_same(crew: &mut Crew<Shared>, alone: &mut PlanEngine, count: usize) {
    let mut seen = 0;
    run(crew, count, |crew, slice, prediction| {
        alone.submit(request(slice));
        let expected = alone.poll(Wait::Yes).unwrap().outcome.unwrap();
        assert_eq!(prediction, expected);
        let half = expected.attention.unwrap().map(|z4| 0.5 * z4);
        for attention in [[1.0; ORGAN_COUNT], half, [1.0; ORGAN_COUNT]] {
            assert_eq!(crew.reweight(slice, &attention).unwrap(), alone.reweight(slice, &attention).unwrap());
        }
        seen += 1;
    });
    assert_eq!(seen, count);
}

#[test]
fn many_give_what_one_gives_in_whatever_order() {
    let (mut crew, shared, mut alone) = crew(3);
    assert_same(&mut crew, &mut alone, 40);
    assert!(shared.0.borrow().answers > 20, "the helpers did most of it");
    assert_eq!(crew.take_warnings(), Vec::<String>::new());
    assert_eq!(shared.0.borrow().rests, 1, "told once that there is no more");
}

#[test]
fn the_first_slice_and_the_only_one_start_nobody() {
    let (mut crew, shared, _) = crew(2);
    crew.submit(request(0));
    assert!(crew.poll(Wait::No).is_some() && !shared.0.borrow().started);
    assert_eq!(crew.depth(), crew.own.depth());
    crew.submit(request(1));
    crew.poll(Wait::No);
    assert!(shared.0.borrow().started);
    assert_eq!(crew.depth(), crew.own.depth() + 2 * EACH);
}

#[test]
fn what_a_lost_helper_had_is_done_by_another() {
    let (mut crew, shared, mut alone) = crew(3);
    // One stops, one is silent from then on, one answers what nobody can read.
    shared.0.borrow_mut().instead =
        [(4, Some(HelperWord::Lost("out of memory".into()))), (9, None), (17, Some(HelperWord::Answer(vec![1, 2, 3])))]
            .into();
    crew.silence = Duration::from_millis(200);
    assert_same(&mut crew, &mut alone, 60);
    assert_eq!(crew.depth(), crew.own.depth());
    let warnings = crew.take_warnings();
    assert!(matches!(&warnings[..], [one] if one.contains("one at a time")), "{warnings:?}");
}

#[test]
fn organs_that_are_switched_off_meanwhile_are_not_in_what_comes_afterwards() {
    let (mut crew, _, _) = crew(2);
    run(&mut crew, 20, |crew, slice, prediction| {
        if crew.own.enabled().is_empty() {
            assert_eq!(prediction.classes, [0]);
            assert_eq!(crew.reweight(slice, &[1.0; ORGAN_COUNT]).unwrap().classes, [0]);
        }
        if slice == 5 {
            crew.set_enabled(OrganSet::default());
        }
    });
    assert!(crew.own.enabled().is_empty());
}

#[test]
fn whoever_waits_does_not_wait_for_helpers() {
    let (mut crew, shared, _) = crew(2);
    for slice in 0..6 {
        crew.submit(request(slice));
    }
    crew.receive();
    crew.hand_out();
    shared.0.borrow_mut().instead = (1..100).map(|n| (n, None)).collect();
    let mut slices: Vec<usize> = std::iter::from_fn(|| crew.poll(Wait::Yes)).map(|result| result.slice).collect();
    slices.sort_unstable();
    assert_eq!(slices, [0, 1, 2, 3, 4, 5]);
}
