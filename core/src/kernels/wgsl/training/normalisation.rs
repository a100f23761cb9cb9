//! Batch normalisation with the ReLU and the shortcut that follow it, and the ways back.

use attention_anatomy_shaders::network::Kernel;

use super::memory::{BatchMaps, Room};
use super::work::{Work, for_each};

/// Threads of a workgroup, which take turns over the channels of a position.
const THREADS: usize = 256;
/// Workgroups that positions are shared among at most: their sums are added up one after the other.
const MOST_PARTS: usize = 128;
/// Positions that a thread has at least.
const LEAST_EACH: usize = 8;

/// `activate.wgsl`.
const ADD: usize = 1;
const NORMALISE: usize = 2;

/// Parts that sums over positions are made in, and the positions of each.
fn parts(maps: &BatchMaps) -> [usize; 2] {
    let lanes = THREADS / maps.c4();
    let parts = (maps.positions() / (lanes * LEAST_EACH)).clamp(1, MOST_PARTS);
    let each = maps.positions().div_ceil(parts);
    [maps.positions().div_ceil(each), each]
}

/// A number of a uniform that is none of its whole ones.
fn bits(value: f32) -> usize {
    value.to_bits() as usize
}

/// A normalisation by the statistics of a batch: `[mean, variance, 1 / deviation, scale, shift][c4]`.
#[derive(Debug)]
pub struct Normalisation(pub Room);

/// Of a normalisation: `[by gamma, by beta, level, slope][c4]`.
#[derive(Debug)]
pub struct NormalisationGradients(pub Room);

/// Sums of the gradient by the output of a ReLU, and of its products with what was normalised before it.
#[derive(Debug)]
pub struct Slopes {
    sums: Room,
    parts: usize,
}

impl Normalisation {
    /// By the statistics of `y`; `parameters` are `[gamma, beta][c4]`.
    pub fn of(y: &BatchMaps, parameters: &Room, work: &mut Work) -> Self {
        let (sums, parts) = moments(y, true, work);
        Self::from_sums(y, &sums, parts, parameters, work)
    }

    fn from_sums(y: &BatchMaps, sums: &Room, parts: usize, parameters: &Room, work: &mut Work) -> Self {
        let result = work.room(5 * y.c4());
        let words = [parts, y.c4(), bits(y.positions() as f32), bits(work.epsilon)];
        let groups = [y.c4().div_ceil(64), 1, 1];
        work.run(Kernel::Statistics, &words, &[sums, &y.room, parameters, &result], groups);
        Self(result)
    }

    /// Of `y`, by the statistics of many batches: `running` are `[mean, variance][c4]`.
    pub fn settled(y: &BatchMaps, running: &Room, parameters: &Room, work: &mut Work) -> Self {
        Self::from_sums(y, running, 0, parameters, work)
    }

    /// relu(norm(y)).
    pub fn activate(&self, y: &BatchMaps, work: &mut Work) -> BatchMaps {
        self.activated(y, 0, [&y.room, &self.0], work)
    }

    /// relu(norm(y) + other(z)); `other` is `None` where z is added as it is.
    pub fn join(&self, y: &BatchMaps, z: &BatchMaps, other: Option<&Self>, work: &mut Work) -> BatchMaps {
        match other {
            Some(other) => self.activated(y, ADD | NORMALISE, [&z.room, &other.0], work),
            None => self.activated(y, ADD, [&z.room, &self.0], work),
        }
    }

    fn activated(&self, y: &BatchMaps, flags: usize, other: [&Room; 2], work: &mut Work) -> BatchMaps {
        let result = work.maps(y.channels, y.size, y.slices);
        let buffers = [&y.room, &self.0, other[0], other[1], &result.room];
        work.run(Kernel::Activate, &[y.vectors(), y.c4(), flags, 0], &buffers, for_each(y.vectors()));
        result
    }

    /// Gradients of the parameters: from the first products of `slopes`, or from the second.
    pub fn gradients(&self, y: &BatchMaps, slopes: &Slopes, which: usize, work: &mut Work) -> NormalisationGradients {
        let result = work.room(4 * y.c4());
        let words = [slopes.parts, y.c4(), bits(y.positions() as f32), which];
        work.run(Kernel::NormGradient, &words, &[&slopes.sums, &self.0, &result], [y.c4().div_ceil(64), 1, 1]);
        NormalisationGradients(result)
    }

    /// The gradient by `y`, from the one by the output.
    pub fn before(&self, by: &BatchMaps, y: &BatchMaps, found: &NormalisationGradients, work: &mut Work) -> BatchMaps {
        let result = work.maps(y.channels, y.size, y.slices);
        let buffers = [&by.room, &y.room, &self.0, &found.0, &result.room];
        work.run(Kernel::BeforeNorm, &[y.vectors(), y.c4(), 0, 0], &buffers, for_each(y.vectors()));
        result
    }
}

/// Makes of `by`, the gradient by the output of a ReLU, the one by its input, in place, and sums it up for the normalisations before
/// it, whose inputs are `y` and perhaps `z`.
pub fn before_relu(
    by: &BatchMaps,
    out: &BatchMaps,
    (y, of_y): (&BatchMaps, &Normalisation),
    other: Option<(&BatchMaps, &Normalisation)>,
    work: &mut Work,
) -> Slopes {
    let [parts, each] = parts(by);
    let sums = work.room(3 * parts * by.c4());
    let (z, of_z) = other.unwrap_or((y, of_y));
    let buffers = [&out.room, &y.room, &of_y.0, &z.room, &of_z.0, &by.room, &sums];
    let words = [by.positions(), by.c4(), each, usize::from(other.is_some())];
    work.run(Kernel::Slopes, &words, &buffers, [parts, 1, 1]);
    Slopes { sums, parts }
}

/// The sum of every channel, `[c4]`, and something behind it.
pub fn channel_sums(maps: &BatchMaps, work: &mut Work) -> Room {
    let (sums, parts) = moments(maps, false, work);
    let result = work.room(2 * maps.c4());
    let groups = [(2 * maps.c4()).div_ceil(64), 1, 1];
    work.run(Kernel::AddGradients, &[2 * maps.c4(), parts, 0, 0], &[&sums, &result], groups);
    result
}

fn moments(maps: &BatchMaps, from_first: bool, work: &mut Work) -> (Room, usize) {
    let [parts, each] = parts(maps);
    let sums = work.room(2 * parts * maps.c4());
    let words = [maps.positions(), maps.c4(), each, usize::from(from_first)];
    work.run(Kernel::Moments, &words, &[&maps.room, &sums], [parts, 1, 1]);
    (sums, parts)
}
