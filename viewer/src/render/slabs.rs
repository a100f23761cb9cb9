//! How a volume is cut into slabs of slices that the device can hold.

use std::ops::Range;

/// What one device can hold, and how much it is given in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Voxels along a side of a slice.
    pub side: usize,
    /// Layers of one texture.
    pub layers: usize,
    /// Bytes of one texture.
    pub texture_bytes: usize,
    /// Bytes that are uploaded in one frame, at most.
    pub frame_bytes: usize,
}

/// Bytes that are uploaded in a second where frames are quick. A page takes some six milliseconds of its own for each megabyte.
const BYTES_IN_A_SECOND: f32 = 160e6;
/// Even the quickest frame uploads this part of what one uploads at most.
const LEAST_PART: usize = 3;

impl Capacity {
    /// Of a device with these limits. More than 256 MiB in one piece is a lot to ask for from any of them.
    pub fn of(limits: &wgpu::Limits) -> Self {
        Self {
            side: limits.max_texture_dimension_2d as usize,
            layers: limits.max_texture_array_layers as usize,
            texture_bytes: 256 << 20,
            frame_bytes: 8 << 20,
        }
    }

    /// Bytes to be uploaded in a frame that comes so many seconds after the one before.
    pub fn bytes_after(&self, seconds: f32) -> usize {
        ((seconds * BYTES_IN_A_SECOND) as usize).clamp(self.frame_bytes / LEAST_PART, self.frame_bytes)
    }
}

/// Slices that share a texture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slab {
    /// Slices that the texture holds.
    pub held: Range<usize>,
    /// Slices that are drawn from it: each belongs to exactly one slab.
    pub own: Range<usize>,
}

/// Slices of the neighbours that a slab holds too: outlines look a few pixels ahead, and a pixel may be several slices.
const OVERLAP: usize = 8;

/// Why a volume cannot be drawn on this device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a slice of this CT has {0} x {1} voxels and this graphics device shows at most {2} x {2}; resample the image, or open it on another device"
)]
pub struct TooLarge(pub usize, pub usize, pub usize);

/// Cuts a volume of 16-bit voxels.
///
/// # Errors
/// [`TooLarge`] where a single slice does not fit.
pub fn slabs([nx, ny, nz]: [usize; 3], capacity: &Capacity) -> Result<Vec<Slab>, TooLarge> {
    if nx > capacity.side || ny > capacity.side {
        return Err(TooLarge(nx, ny, capacity.side));
    }
    // One layer is kept for `array_layers`.
    let most = (capacity.layers - 1).min(capacity.texture_bytes / (2 * nx * ny)).max(3);
    if nz <= most {
        return Ok(vec![Slab { held: 0..nz, own: 0..nz }]);
    }
    let overlap = OVERLAP.min((most - 1) / 2);
    let step = most - 2 * overlap;
    let cut = |from: usize| {
        let own = from..(from + step).min(nz);
        Slab { held: own.start.saturating_sub(overlap)..(own.end + overlap).min(nz), own }
    };
    Ok((0..nz).step_by(step).map(cut).collect())
}

/// Layers to ask for where `slices` are needed. wgpu takes one layer for a plain texture and, on OpenGL, square ones of a
/// multiple of six for cube maps; both cannot be read as an array then.
pub fn array_layers(slices: usize) -> u32 {
    let layers = slices.max(2);
    (if layers.is_multiple_of(6) { layers + 1 } else { layers }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least() -> Capacity {
        Capacity::of(&wgpu::Limits::downlevel_webgl2_defaults())
    }

    #[test]
    fn every_slice_is_drawn_from_exactly_one_slab_that_holds_its_neighbours() {
        for (size, layers) in
            [([512, 512, 1200], 256), ([64, 64, 256], 256), ([10, 10, 40], 8), ([5, 5, 9], 4), ([5, 5, 1], 4)]
        {
            let capacity = Capacity { layers, ..least() };
            let slabs = slabs(size, &capacity).unwrap();
            let drawn: Vec<usize> = slabs.iter().flat_map(|s| s.own.clone()).collect();
            assert!(drawn.into_iter().eq(0..size[2]), "{size:?}: {slabs:?}");
            for slab in &slabs {
                assert!(slab.held.start <= slab.own.start.saturating_sub(1), "{slab:?}");
                assert!(slab.held.end >= (slab.own.end + 1).min(size[2]), "{slab:?}");
                assert!(array_layers(slab.held.len()) as usize <= layers, "{slab:?}");
            }
        }
    }

    #[test]
    fn a_quick_frame_uploads_less_than_a_slow_one() {
        let bytes = |seconds: f32| least().bytes_after(seconds) >> 20;
        assert_eq!([bytes(0.0), bytes(1.0 / 60.0), bytes(1.0 / 30.0), bytes(1.0)], [2, 2, 5, 8]);
    }

    #[test]
    fn a_texture_stays_within_its_bytes() {
        let slabs = slabs([1024, 1024, 600], &least()).unwrap();
        assert!(slabs.iter().all(|s| s.held.len() * 1024 * 1024 * 2 <= 256 << 20), "{slabs:?}");
        assert!(slabs.len() > 1);
    }

    #[test]
    fn a_common_ct_fits_web_gl_in_few_slabs() {
        assert_eq!(slabs([512, 512, 200], &least()).unwrap().len(), 1);
        assert_eq!(slabs([512, 512, 600], &least()).unwrap().len(), 3);
    }

    #[test]
    fn a_slice_that_does_not_fit_is_named_with_its_numbers() {
        let error = slabs([4096, 3000, 10], &least()).unwrap_err();
        assert_eq!(error, TooLarge(4096, 3000, 2048));
        assert!(error.to_string().contains("4096 x 3000 voxels"));
    }

    #[test]
    fn no_texture_looks_like_a_cube_map() {
        for slices in 1..300 {
            let layers = array_layers(slices);
            assert!(layers >= 2 && !layers.is_multiple_of(6) && layers as usize >= slices, "{slices}: {layers}");
        }
    }
}
