//! What is cut out of a slice for the network.

use serde::{Deserialize, Serialize};

use crate::kernels::floats;
use crate::preprocess::{AIR_HU, FieldBox, InputConfig};

/// Where something lies of a slice: a field of the model grid, and a box within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TilePlace {
    /// Top left model pixel `[x, y]` of the field.
    pub field: [i64; 2],
    /// The box within the field; the rest of the field is air, and is background with certainty.
    pub within: FieldBox,
}

impl TilePlace {
    /// Top left model pixel `[x, y]` of the box.
    pub fn origin(&self) -> [i64; 2] {
        [0, 1].map(|a| self.field[a] + self.within.offset[a] as i64)
    }
}

/// Origin and size of the area that the boxes of all tiles lie in.
pub(super) fn bounds<'a>(places: impl Iterator<Item = &'a TilePlace> + Clone) -> ([i64; 2], [usize; 2]) {
    let edge = |a: usize| {
        let low = places.clone().map(|place| place.origin()[a]).min().unwrap_or(0);
        let high = places.clone().map(|place| place.origin()[a] + place.within.size[a] as i64).max().unwrap_or(1);
        (low, (high - low) as usize)
    };
    let ((x, w), (y, h)) = (edge(0), edge(1));
    ([x, y], [w, h])
}

/// A square of a slice, cut and scaled for the network: the field, of which only a box is not air.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tile {
    /// Where it lies.
    pub place: TilePlace,
    /// `[stack, rows of the box, columns of the box]` in `[0, 1]`.
    #[serde(with = "floats")]
    pub stack: Vec<f32>,
}

impl Tile {
    /// The box of what is not air in a `[stack, crop, crop]` field whose top left model pixel is `field`.
    pub fn new(field: [i64; 2], stack: Vec<f32>, input: &InputConfig) -> Self {
        let air = input.intensity(AIR_HU);
        let within = FieldBox::around(&stack, input.crop, air);
        let whole = Self { place: TilePlace { field, within: FieldBox::whole(input.crop) }, stack };
        whole.on(within, air)
    }

    /// The whole field, whatever is in it.
    pub fn whole(field: [i64; 2], stack: Vec<f32>, crop: usize) -> Self {
        Self { place: TilePlace { field, within: FieldBox::whole(crop) }, stack }
    }

    /// The same on another box of the field that holds what is not air.
    pub fn on(self, within: FieldBox, air: f32) -> Self {
        if within == self.place.within {
            return self;
        }
        let stack = within.cut(&self.stack, &self.place.within, air);
        Self { place: TilePlace { within, ..self.place }, stack }
    }
}
